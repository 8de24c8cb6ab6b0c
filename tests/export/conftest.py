from ..runs.conftest import whole as whole
