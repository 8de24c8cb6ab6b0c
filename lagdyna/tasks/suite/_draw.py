import numpy as np
from jaxtyping import Float, UInt8

from ._task import SuiteTask

_SIZE = 480
_FINER = 3  # drawn so many times larger and then reduced, which smooths the edges
_BACKGROUND = (250, 250, 248)
_TRACK, _TICK, _EDGE = (150, 152, 158), (205, 206, 210), (214, 96, 77)
_CART, _JOINT = (62, 68, 84), (250, 250, 248)
_LINKS = ((44, 123, 182), (230, 145, 56), (77, 146, 33), (140, 86, 160))


def draw(task: SuiteTask, q: Float[np.ndarray, " n"]) -> UInt8[np.ndarray, "480 480 3"]:
    """A picture of a chain of links, upright at 0, with its cart if it has one.

    Links have the lengths of the task's Lagrangian, or 1 m if it knows none. The picture
    follows a cart that would leave it; red marks are where the reward of the cart drops.
    """
    from PIL import Image, ImageDraw  # only who draws pictures waits for it

    first = int(task.has_cart)
    links = task.n - first
    lengths = np.asarray(getattr(task.system.lagrangian, "length", 1.0), float)
    lengths = np.broadcast_to(lengths, (links,))
    theta = np.cumsum(np.asarray(q[first:], float))
    x = float(q[0]) if first else 0.0
    steps = lengths[:, None] * np.stack([np.sin(theta), np.cos(theta)], axis=-1)
    joints = np.cumsum(np.concatenate([[[x, 0.0]], steps]), axis=0)

    reach = float(lengths.sum())
    half = 1.15 * max(reach, 2.3 if first else 0.0)  # of the width and height, metres
    centre = x - np.clip(x, -0.7 * half, 0.7 * half)
    side = _SIZE * _FINER
    scale = side / (2 * half)

    def pixel(point: np.ndarray) -> tuple[float, float]:
        return (point[0] - centre) * scale + side / 2, side / 2 - point[1] * scale

    image = Image.new("RGB", (side, side), _BACKGROUND)
    pen = ImageDraw.Draw(image)
    width = side // 40

    def disc(point: np.ndarray, radius: float, colour: tuple[int, int, int]) -> None:
        pen.circle(pixel(point), radius, fill=colour)

    if first:
        pen.line([(0, side / 2), (side, side / 2)], _TRACK, side // 240)
        for metre in range(int(np.floor(centre - half)), int(np.ceil(centre + half)) + 1):
            across, height = pixel(np.asarray([metre, 0.0]))
            limit = abs(metre) == 2
            tall, colour = (side / 30, _EDGE) if limit else (side / 60, _TICK)
            pen.line([(across, height - tall), (across, height + tall)], colour, side // 240)
        across, height = pixel(joints[0])
        box = (across - 2.2 * width, height - width, across + 2.2 * width, height + width)
        pen.rounded_rectangle(box, width / 2, fill=_CART)
    else:
        disc(joints[0], 1.1 * width, _CART)
    for i in range(links):
        colour = _LINKS[i % len(_LINKS)]
        pen.line([pixel(joints[i]), pixel(joints[i + 1])], colour, width)
        disc(joints[i], width / 2, colour)
        disc(joints[i + 1], width / 2, colour)
    for joint in joints[:-1]:
        disc(joint, width / 4, _JOINT)
    return np.asarray(image.resize((_SIZE, _SIZE), Image.Resampling.LANCZOS))
