import numpy as np
from jaxtyping import Float, UInt8

from ...systems import Pendulum
from ._task import SuiteTask

SIZE = 480
_FINER = 3  # drawn so many times larger and then averaged, which smooths the edges
_BACKGROUND = (250, 250, 248)
_TRACK, _TICK, _EDGE = (150, 152, 158), (205, 206, 210), (214, 96, 77)
_CART, _JOINT, _GOAL = (62, 68, 84), (250, 250, 248), (168, 200, 170)
_LINKS = ((44, 123, 182), (230, 145, 56), (77, 146, 33), (140, 86, 160))
_PUSH = (178, 24, 71)
_TURN = 120.0  # degrees of the arrow of the largest torque
_WEAK = 0.2  # of the largest: less has a smaller head too, so that none jumps about


def draw(
    task: SuiteTask,
    q: Float[np.ndarray, " n"],
    effort: Float[np.ndarray, " n"],
    size: int = SIZE,
) -> UInt8[np.ndarray, "size size 3"]:
    """A picture of a chain of links, upright at 0, with its cart if it has one.

    `effort` is what drives each coordinate, as a fraction of the most there is: an arrow, from
    a cart or about a joint. Links have the lengths of the task's Lagrangian, or 1 m if it
    knows none. The picture follows a cart that would leave it; red marks are where the reward
    of the cart drops, and the pale ring is where the tip is when the reward is 1.
    """
    from PIL import Image, ImageDraw  # only who draws pictures waits for it

    first = int(task.has_cart)
    links = task.n - first
    body = task.system.lagrangian
    lengths = np.asarray(getattr(body, "length", 1.0), float)
    lengths = np.broadcast_to(lengths, (links,))
    theta = np.cumsum(np.asarray(q[first:], float))
    x = float(q[0]) if first else 0.0
    steps = lengths[:, None] * np.stack([np.sin(theta), np.cos(theta)], axis=-1)
    joints = np.cumsum(np.concatenate([[[x, 0.0]], steps]), axis=0)

    reach = float(lengths.sum())
    half = 1.15 * max(reach, 2.3 if first else 0.0)  # of the width and height, metres
    centre = x - np.clip(x, -0.7 * half, 0.7 * half)
    side = size * _FINER
    scale = side / (2 * half)

    def pixel(point: np.ndarray) -> tuple[float, float]:
        return (point[0] - centre) * scale + side / 2, side / 2 - point[1] * scale

    image = Image.new("RGB", (side, side), _BACKGROUND)
    pen = ImageDraw.Draw(image)
    width = side // 40
    thin = side // 160

    def disc(point: np.ndarray, radius: float, colour: tuple[int, int, int]) -> None:
        pen.circle(pixel(point), radius, fill=colour)

    def head(at: np.ndarray, along: np.ndarray, push: float) -> None:
        """The head of an arrow that ends at `at`, along a unit vector times the push's sign."""
        along = np.sign(push) * min(1.0, abs(push) / _WEAK) * width * along
        aside = 0.5 * np.asarray([-along[1], along[0]])
        corners = (at + along, at + aside, at - aside)
        pen.polygon([(float(a), float(b)) for a, b in corners], fill=_PUSH)

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
        push = float(effort[0])
        if push != 0:
            start = across + 2.6 * np.sign(push) * width
            end = start + 5 * push * width
            pen.line([(start, height), (end, height)], _PUSH, thin)
            head(np.asarray([end, height]), np.asarray([1.0, 0.0]), push)
    else:
        disc(joints[0], 1.1 * width, _CART)
    goal = pixel(np.asarray([0.0, reach]))
    pen.circle(goal, 1.1 * width, outline=_GOAL, width=thin)
    for i in range(links):
        colour = _LINKS[i % len(_LINKS)]
        pen.line([pixel(joints[i]), pixel(joints[i + 1])], colour, width)
        disc(joints[i], width / 2, colour)
        disc(joints[i + 1], width / 2, colour)
    if isinstance(body, Pendulum) and body.centre == 1:  # all the mass is there
        disc(joints[-1], 1.4 * width, _LINKS[0])
    for joint in joints[:-1]:
        disc(joint, width / 4, _JOINT)
    for i in range(links):
        push = float(effort[first + i])
        if push != 0:
            # From the link in the direction in which it is turned; clockwise is positive.
            radius = 2.2 * width
            at = np.asarray(pixel(joints[i]))
            start, turn = np.rad2deg(theta[i]) - 90, _TURN * push
            box = (*(at - radius), *(at + radius))
            pen.arc(box, min(start, start + turn), max(start, start + turn), _PUSH, thin)
            end = np.deg2rad(start + turn)
            out = np.asarray([np.cos(end), np.sin(end)])
            head(at + (radius - thin / 2) * out, np.asarray([-out[1], out[0]]), push)
    return np.asarray(image.reduce(_FINER))
