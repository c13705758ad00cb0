"""A part of a form that comes base64-encoded, as mail programs and small devices send it."""

import binascii


class Base64Part:
    """Encoded bytes in, in any slices, line breaks among them; content out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """What is whole so far.

        Raises:
            ValueError: It is no base64.
        """
        text = self._rest + b"".join(data.split())
        whole = len(text) - len(text) % 4
        self._rest = text[whole:]
        return binascii.a2b_base64(text[:whole], strict_mode=True)

    def flush(self) -> None:
        """Returns where the last group was whole.

        Raises:
            ValueError: It was not.
        """
        if self._rest:
            raise ValueError("the last group is cut off")
