"""Vectors and matrices in space, as tuples of scalars.

Under `vmap` each scalar becomes one contiguous array over the batch, and XLA vectorises every
operation over it. Arrays of shape `(batch, 3)` run about ten times slower on a CPU.
"""

from jaxtyping import Array, Float, Scalar

Vector = tuple[Scalar, Scalar, Scalar]

# Rows of a 3 x 3 matrix.
Matrix = tuple[Vector, Vector, Vector]


def vector(array: Float[Array, " 3"]) -> Vector:
    """Split an array into a vector of scalars."""
    return array[0], array[1], array[2]


def matrix(array: Float[Array, "3 3"]) -> Matrix:
    """Split an array into a matrix of scalars."""
    return vector(array[0]), vector(array[1]), vector(array[2])


def add(first: Vector, *others: Vector) -> Vector:
    """Add vectors."""
    x, y, z = first
    for other in others:
        x, y, z = x + other[0], y + other[1], z + other[2]
    return x, y, z


def scale(factor: Scalar, v: Vector) -> Vector:
    """Multiply a vector by a scalar."""
    return factor * v[0], factor * v[1], factor * v[2]


def dot(a: Vector, b: Vector) -> Scalar:
    """Compute the dot product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Vector, b: Vector) -> Vector:
    """Compute the cross product."""
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def times(a: Matrix, v: Vector) -> Vector:
    """Compute `A v`."""
    return dot(a[0], v), dot(a[1], v), dot(a[2], v)


def transpose(a: Matrix) -> Matrix:
    """Transpose a matrix."""
    return (
        (a[0][0], a[1][0], a[2][0]),
        (a[0][1], a[1][1], a[2][1]),
        (a[0][2], a[1][2], a[2][2]),
    )


def product(a: Matrix, b: Matrix) -> Matrix:
    """Compute `A B`."""
    columns = transpose(b)
    return times(columns, a[0]), times(columns, a[1]), times(columns, a[2])


def plus(a: Matrix, b: Matrix) -> Matrix:
    """Add matrices."""
    return add(a[0], b[0]), add(a[1], b[1]), add(a[2], b[2])


def minus_outer(a: Matrix, u: Vector, v: Vector) -> Matrix:
    """Compute `A - u v'`."""
    return (
        add(a[0], scale(-u[0], v)),
        add(a[1], scale(-u[1], v)),
        add(a[2], scale(-u[2], v)),
    )


def cross_columns(v: Vector, a: Matrix) -> Matrix:
    """Compute `[v] A`, the cross product of `v` with each column."""
    columns = transpose(a)
    return transpose((cross(v, columns[0]), cross(v, columns[1]), cross(v, columns[2])))


def cross_rows(a: Matrix, v: Vector) -> Matrix:
    """Compute `A [v]`, the cross product of each row with `v`."""
    return cross(a[0], v), cross(a[1], v), cross(a[2], v)


def turn(c: Scalar, s: Scalar, v: Vector) -> Vector:
    """Rotate a vector about `z` by the angle of cosine `c` and sine `s`."""
    return c * v[0] - s * v[1], s * v[0] + c * v[1], v[2]


def unturn(c: Scalar, s: Scalar, v: Vector) -> Vector:
    """Rotate a vector back about `z`."""
    return c * v[0] + s * v[1], c * v[1] - s * v[0], v[2]
