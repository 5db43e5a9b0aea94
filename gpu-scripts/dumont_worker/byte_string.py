"""Byte strings in JSON: text where the bytes are UTF-8, else base64."""

import base64
import binascii

from .errors import integrity

JsonBytes = str | dict[str, str]


def to_json(value: bytes) -> JsonBytes:
    """Gives the JSON value of a byte string."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def from_json(value: object) -> bytes:
    """Gives the bytes of a JSON value; raises INTEGRITY for what is no byte string or holds NUL."""
    if type(value) is str:
        try:
            data = value.encode()
        except UnicodeEncodeError:
            raise integrity("a byte string holds half a surrogate pair") from None
    elif type(value) is dict and len(value) == 1 and "b64" in value:
        data = strict_base64(value["b64"])
    else:
        raise integrity("not a byte string")
    if 0 in data:
        raise integrity("a byte string holds NUL")
    return data


def strict_base64(value: object) -> bytes:
    """Decodes canonical standard base64; raises INTEGRITY for anything else."""
    if type(value) is str:
        try:
            data = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise integrity("not base64") from None
        if base64.b64encode(data).decode() == value:
            return data
    raise integrity("not canonical base64")
