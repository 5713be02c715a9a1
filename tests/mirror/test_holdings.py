"""What a mirror's log and its files say together: answers from the disk, and those fetched for the question."""

from __future__ import annotations

import pytest

from tests.mirror.lines import line
from trusted_registry.images.listing import Entry, Listing
from trusted_registry.mirror import holdings
from trusted_registry.mirror.holdings import CacheUse

ONE, TWO = (f"sha256:{it * 64}" for it in "ab")


@pytest.fixture
def listing() -> Listing:
    """A storage whose one content came in second 100."""
    return Listing(blobs={ONE: Entry("blobs/a", 1, 1, 100)})


@pytest.mark.parametrize(
    ("when", "duration", "answers"),
    [
        (100.4, "2ms", (0, 1)),
        (160.0, "1m0.5s", (0, 1)),  # a slow client, to whom it was sent while it came
        (101.5, "1ms", (1, 0)),
        (5000.0, "737.858µs", (1, 0)),
    ],
)
def test_an_answer_is_a_miss_where_the_content_came_after_the_question(
    when: float, duration: str, answers: tuple[int, int], listing: Listing
) -> None:
    said = [line(f"/v2/app/blobs/{ONE}", when, duration=duration)]
    assert holdings.count(said, listing) == CacheUse(*answers, when)


@pytest.mark.parametrize(
    "said",
    [
        line("/v2/app/manifests/latest", 200.0),
        line(f"/v2/app/blobs/{TWO}", 200.0),
        line(f"/v2/app/blobs/{ONE}", 200.0, status=404),
        line(f"/v2/app/blobs/{ONE}", 200.0, method="HEAD"),
        line(f"/v2/app/blobs/{ONE}", 200.0, program=""),
        "panic: something else",
        line(f"/v2/app/blobs/{ONE}", 200.0, message="response completed with error"),
    ],
)
def test_what_is_no_answer_with_a_content_to_a_client_is_not_counted(said: str, listing: Listing) -> None:
    found = holdings.count([said], listing)
    assert (found.hits, found.misses) == (0, 0)


def test_a_client_s_own_words_count_for_nothing(listing: Listing) -> None:
    forged = f'x" http.request.uri=/v2/app/blobs/{ONE} http.response.status=200 '.replace('"', '\\"')
    said = [line("/v2/", 200.0, program=forged), line("/v2/app/blobs/x", 200.0, duration="1.2.3s9h...")]
    assert holdings.count(said, listing).hits == 0
