from typing import NamedTuple


class Finding(NamedTuple):
    """Statement about recordings that a fit should not learn from in silence.

    **Attributes:**

    - `text`: one sentence without a full stop, which names the columns.
    - `contradiction`: whether columns contradict each other by so much that no model can
        fit them.
    """

    text: str
    contradiction: bool = False
