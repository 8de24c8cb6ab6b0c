def positive_scales(name: str, given: tuple[float, ...] | None, n: int) -> tuple[float, ...]:
    """Validate one positive scale per coordinate; ones by default.

    **Arguments:**

    - `name`: name of the argument, for the error message.
    - `given`: the scales, or `None` for ones.
    - `n`: number of coordinates.

    **Returns:** the scales as `n` floats.

    **Raises:** `ValueError` if `given` is not `n` positive numbers.
    """
    if given is None:
        return (1.0,) * n
    if len(given) != n or min(given) <= 0:
        raise ValueError(f"`{name}` must be {n} positive numbers, got {given}")
    return tuple(float(x) for x in given)
