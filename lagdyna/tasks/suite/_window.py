from typing import Any

import gymnasium as gym
import numpy as np
from jaxtyping import UInt8


class Window:
    """Pygame window that shows a sequence of images.

    It opens with the first image. Pygame has one window per process, so environments that
    render at the same time share it, as in Gymnasium.

    **Arguments:**

    - `title`: title of the window.
    - `fps`: largest number of images per second.
    """

    def __init__(self, title: str, fps: int):
        self._title = title
        self._fps = fps
        self._clock: Any = None

    def show(self, image: UInt8[np.ndarray, "height width 3"]) -> None:
        """Show an image and wait for the frame time.

        **Raises:** Gymnasium's `DependencyNotInstalled` if pygame is missing.
        """
        try:
            import pygame  # deferred: optional and slow to import
        except ImportError as error:
            raise gym.error.DependencyNotInstalled(
                "`render_mode` was 'human', which needs pygame; install it with "
                "`pip install 'gymnasium[classic-control]'`"
            ) from error
        height, width, _ = image.shape
        screen = pygame.display.get_surface()
        if screen is None or screen.get_size() != (width, height):
            pygame.display.init()
            screen = pygame.display.set_mode((width, height))
            pygame.display.set_caption(self._title)
        if self._clock is None:
            self._clock = pygame.time.Clock()
        # Pygame expects the column axis first.
        pygame.surfarray.blit_array(screen, image.swapaxes(0, 1))
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(self._fps)

    def close(self) -> None:
        """Close the window, if it is open."""
        if self._clock is not None:
            import pygame

            pygame.display.quit()
            self._clock = None
