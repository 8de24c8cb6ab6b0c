import time
from collections.abc import Callable
from contextlib import suppress

from jax import monitoring

# JAX reports the end of lowering, after which XLA compiles, and the end of that.
_LOWERED = "/jax/core/compile/jaxpr_to_mlir_module_duration"
_COMPILED = "/jax/core/compile/backend_compile_duration"


class CompilationWatch:
    """Observer of XLA's compilations in this process.

    **Arguments:** `compiled`, callback that receives the seconds of each finished compilation.

    **Attributes:** `since`, time on `time.perf_counter` at which the present compilation
    began; `None` if there is none.
    """

    def __init__(self, compiled: Callable[[float], None] | None = None):
        self._compiled = compiled
        self.since: float | None = None

    def start(self) -> None:
        """Begin to observe."""
        monitoring.register_event_duration_secs_listener(self._event)

    def stop(self) -> None:
        """End the observation; without effect if there is none."""
        self.since = None
        # JAX refuses a listener that it does not have.
        with suppress(AssertionError, ValueError):
            monitoring.unregister_event_duration_listener(self._event)

    def _event(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event == _LOWERED:
            self.since = time.perf_counter()
        elif event == _COMPILED:
            self.since = None
            if self._compiled is not None:
                self._compiled(duration_secs)
