"""Whole creates and restores in a sealed store: what holds elsewhere holds here."""

from collections.abc import Iterator

import pytest
import test_create
import test_restore_worker
from sealing import SealedStore


@pytest.fixture
def store() -> Iterator[SealedStore]:
    store = SealedStore()
    yield store
    store.close()
    assert store.broken_rules == []


AGAIN = [
    test_create.test_a_snapshot_holds_the_tree,
    test_create.test_a_store_in_trouble_is_outlasted,
    test_create.test_after_the_commit_the_journal_begins_anew,
    test_create.test_an_index_is_fetched_through_trouble,
    test_create.test_an_interrupted_create_goes_on_where_it_was,
    test_create.test_an_interrupted_create_goes_on_with_differences,
    test_create.test_chunks_of_unusable_packs_are_stored_again,
    test_create.test_equal_content_is_stored_once,
    test_create.test_it_works_from_a_zip_archive,
    test_create.test_md5_pins_where_the_store_wants_them,
    test_create.test_memory_stays_below_its_bound,
    test_create.test_nothing_new_stores_no_pack,
    test_create.test_packs_that_the_operator_does_not_accept_are_sent_again,
    test_create.test_settled_files_are_not_read_again,
    test_create.test_several_roots_and_a_file_root_keep_their_places,
    test_restore_worker.test_a_lost_session_leaves_nothing_running_and_nothing_temporary,
    test_restore_worker.test_what_create_saved_comes_back,
]
globals().update({test.__name__: test for test in AGAIN})
