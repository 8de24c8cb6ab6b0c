import numpy as np
from jaxtyping import Float, UInt8

from ...mechanics import MechanicalSystem
from ...systems import Pendulum, PlanarChain
from ._task import SuiteTask

SIZE = 480
_SUPERSAMPLING = 3  # images are drawn larger and averaged, which smooths edges
_BACKGROUND = (250, 250, 248)
_TRACK, _TICK, _EDGE = (150, 152, 158), (205, 206, 210), (214, 96, 77)
_CART, _JOINT, _GOAL = (62, 68, 84), (250, 250, 248), (168, 200, 170)
_LINKS = ((44, 123, 182), (230, 145, 56), (77, 146, 33), (140, 86, 160))
_PUSH = (178, 24, 71)
_MAX_ARROW_ANGLE = 120.0  # degrees, at the largest torque
_SMALL_EFFORT = 0.2  # arrow heads shrink below this fraction, so that they do not flicker


def draw(
    task: SuiteTask,
    q: Float[np.ndarray, " n"],
    effort: Float[np.ndarray, " n"],
    size: int = SIZE,
    *,
    marks: bool = True,
) -> UInt8[np.ndarray, "size size 3"]:
    """Draw a chain of links, upright at 0, and its cart.

    The view follows a cart that would leave the image. Red marks show where the reward for the
    position of the cart drops. The pale ring is the position of the tip at a reward of 1.
    Links have the lengths of the task's Lagrangian, or 1 m if it has none.

    **Arguments:**

    - `task`: the task.
    - `q`: coordinates, shape `(n,)`.
    - `effort`: force on each coordinate as a fraction of its maximum, shape `(n,)`. It is drawn
        as an arrow at the cart or about a joint.
    - `size`: width and height of the image, pixels.
    - `marks`: whether the marks of the reward are drawn.

    **Returns:** the RGB image, shape `(size, size, 3)`, 8 bit.
    """
    from PIL import Image, ImageDraw  # deferred: slow to import

    first = int(task.has_cart)
    links = task.n - first
    body = task.system.lagrangian
    lengths = np.asarray(getattr(body, "length", 1.0), float)
    lengths = np.broadcast_to(lengths, (links,))
    theta = np.cumsum(np.asarray(q[first:], float))
    x = float(q[0]) if first else 0.0
    link_vectors = lengths[:, None] * np.stack([np.sin(theta), np.cos(theta)], axis=-1)
    joints = np.cumsum(np.concatenate([[[x, 0.0]], link_vectors]), axis=0)

    reach = float(lengths.sum())
    half = 1.15 * max(reach, 2.3 if first else 0.0)  # half the side of the view, metres
    centre = x - np.clip(x, -0.7 * half, 0.7 * half)
    side = size * _SUPERSAMPLING
    scale = side / (2 * half)

    def pixel(point: np.ndarray) -> tuple[float, float]:
        return (point[0] - centre) * scale + side / 2, side / 2 - point[1] * scale

    image = Image.new("RGB", (side, side), _BACKGROUND)
    pen = ImageDraw.Draw(image)
    width = side // 40
    thin = side // 160

    def draw_disc(point: np.ndarray, radius: float, colour: tuple[int, int, int]) -> None:
        pen.circle(pixel(point), radius, fill=colour)

    def draw_arrow_head(at: np.ndarray, along: np.ndarray, force: float) -> None:
        """Draw an arrow head at `at`, along a unit vector times the sign of the force."""
        along = np.sign(force) * min(1.0, abs(force) / _SMALL_EFFORT) * width * along
        aside = 0.5 * np.asarray([-along[1], along[0]])
        corners = (at + along, at + aside, at - aside)
        pen.polygon([(float(a), float(b)) for a, b in corners], fill=_PUSH)

    if first:
        pen.line([(0, side / 2), (side, side / 2)], _TRACK, side // 240)
        for metre in range(int(np.floor(centre - half)), int(np.ceil(centre + half)) + 1):
            x_pixel, y_pixel = pixel(np.asarray([metre, 0.0]))
            limit = marks and abs(metre) == 2
            tick, colour = (side / 30, _EDGE) if limit else (side / 60, _TICK)
            pen.line(
                [(x_pixel, y_pixel - tick), (x_pixel, y_pixel + tick)], colour, side // 240
            )
        x_pixel, y_pixel = pixel(joints[0])
        box = (x_pixel - 2.2 * width, y_pixel - width, x_pixel + 2.2 * width, y_pixel + width)
        pen.rounded_rectangle(box, width / 2, fill=_CART)
        force = float(effort[0])
        if force != 0:
            start = x_pixel + 2.6 * np.sign(force) * width
            end = start + 5 * force * width
            pen.line([(start, y_pixel), (end, y_pixel)], _PUSH, thin)
            draw_arrow_head(np.asarray([end, y_pixel]), np.asarray([1.0, 0.0]), force)
    else:
        draw_disc(joints[0], 1.1 * width, _CART)
    goal = pixel(np.asarray([0.0, reach]))
    if marks:
        pen.circle(goal, 1.1 * width, outline=_GOAL, width=thin)
    for i in range(links):
        colour = _LINKS[i % len(_LINKS)]
        pen.line([pixel(joints[i]), pixel(joints[i + 1])], colour, width)
        draw_disc(joints[i], width / 2, colour)
        draw_disc(joints[i + 1], width / 2, colour)
    if isinstance(body, Pendulum) and body.centre == 1:  # a point mass at the tip
        draw_disc(joints[-1], 1.4 * width, _LINKS[0])
    for joint in joints[:-1]:
        draw_disc(joint, width / 4, _JOINT)
    for i in range(links):
        force = float(effort[first + i])
        if force != 0:
            # The arc starts at the link; clockwise torque is positive.
            radius = 2.2 * width
            at = np.asarray(pixel(joints[i]))
            start, turn = np.rad2deg(theta[i]) - 90, _MAX_ARROW_ANGLE * force
            box = (*(at - radius), *(at + radius))
            pen.arc(box, min(start, start + turn), max(start, start + turn), _PUSH, thin)
            end = np.deg2rad(start + turn)
            out = np.asarray([np.cos(end), np.sin(end)])
            draw_arrow_head(
                at + (radius - thin / 2) * out, np.asarray([-out[1], out[0]]), force
            )
    return np.asarray(image.reduce(_SUPERSAMPLING))


def is_chain(system: MechanicalSystem) -> bool:
    """Whether a system is a pendulum or planar chain of angles that `draw_chain` draws."""
    body, angles = system.lagrangian, system.coordinates.angles
    first = int(isinstance(body, PlanarChain) and body.cart_mass is not None)
    known = isinstance(body, Pendulum | PlanarChain)
    return known and all(angles[first:]) and not any(angles[:first])


def draw_chain(
    system: MechanicalSystem,
    q: Float[np.ndarray, " n"],
    effort: Float[np.ndarray, " n"],
    size: int = SIZE,
) -> UInt8[np.ndarray, "size size 3"]:
    """Draw a pendulum or a planar chain of links, with its cart.

    **Arguments:**

    - `system`: a system for which [`lagdyna.tasks.is_chain`][] holds.
    - `q`: coordinates, shape `(n,)`; angles are 0 upright.
    - `effort`: force on each coordinate as a fraction of its maximum, shape `(n,)`.
    - `size`: width and height of the image, pixels.

    **Returns:** the RGB image, shape `(size, size, 3)`, 8 bit.
    """
    return draw(SuiteTask("chain", system, 1, 1.0), q, effort, size, marks=False)
