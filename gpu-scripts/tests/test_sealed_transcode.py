"""Transcoding in a sealed store."""

import pytest
import test_transcode
from test_sealed_create import store

__all__ = ["store"]
pytestmark = pytest.mark.usefixtures("gpu_box")

AGAIN = [
    test_transcode.test_a_damaged_chunk_is_named_and_nothing_is_made_of_it,
    test_transcode.test_the_content_is_the_same_and_needs_no_gpu,
    test_transcode.test_what_needs_no_gpu_is_named_again,
]
globals().update({test.__name__: test for test in AGAIN})
