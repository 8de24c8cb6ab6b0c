def magnitudes(name: str, given: tuple[float, ...] | None, n: int) -> tuple[float, ...]:
    """One positive number for each coordinate, ones by default.

    **Raises:** `ValueError`, naming the argument, if they are not `n` positive numbers.
    """
    if given is None:
        return (1.0,) * n
    if len(given) != n or min(given) <= 0:
        raise ValueError(f"`{name}` must be {n} positive numbers, got {given}")
    return tuple(float(x) for x in given)
