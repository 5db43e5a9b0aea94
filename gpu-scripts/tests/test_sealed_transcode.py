"""Transcoding in a sealed store."""

import test_transcode
from gpu_box import gpu_box
from test_sealed_create import store
from test_transcode import operator, tree

__all__ = ["gpu_box", "operator", "store", "tree"]

AGAIN = [
    test_transcode.test_a_damaged_chunk_is_named_and_nothing_is_made_of_it,
    test_transcode.test_the_content_is_the_same_and_needs_no_gpu,
    test_transcode.test_what_needs_no_gpu_is_named_again,
]
globals().update({test.__name__: test for test in AGAIN})
