from typing import Any

import gymnasium as gym
import numpy as np
from jaxtyping import UInt8


class Window:
    """Pictures one after another in a window on the screen, by pygame.

    It opens with the first picture. pygame has one window in a process, so environments
    that show at the same time share it, as those of Gymnasium do.
    """

    def __init__(self, title: str, fps: int):
        self._title = title
        self._fps = fps
        self._clock: Any = None

    def show(self, picture: UInt8[np.ndarray, "height width 3"]) -> None:
        """Shows a picture, and waits until it is time for it.

        **Raises:** Gymnasium's `DependencyNotInstalled` if pygame is missing.
        """
        try:
            import pygame  # only who looks on waits for it
        except ImportError as error:
            raise gym.error.DependencyNotInstalled(
                "`render_mode` 'human' needs pygame, which is not installed; "
                "`pip install 'gymnasium[classic-control]'`"
            ) from error
        height, width, _ = picture.shape
        screen = pygame.display.get_surface()
        if screen is None or screen.get_size() != (width, height):
            pygame.display.init()
            screen = pygame.display.set_mode((width, height))
            pygame.display.set_caption(self._title)
        if self._clock is None:
            self._clock = pygame.time.Clock()
        # pygame counts columns first.
        pygame.surfarray.blit_array(screen, picture.swapaxes(0, 1))
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(self._fps)

    def close(self) -> None:
        """Closes the window, if it has been opened."""
        if self._clock is not None:
            import pygame

            pygame.display.quit()
            self._clock = None
