"""What is said of supported versions agrees."""

import re
from collections import Counter
from pathlib import Path

from tests import matrix
from tests.run import Outcome

ROOT = Path(__file__).parents[1]


def test_the_matrix_reaches_from_the_oldest_to_the_newest_that_is_required():
    requirements = (ROOT / 'requirements.txt').read_text()
    oldest, *_, newest = matrix.VERSIONS
    assert f'mindspore>={oldest},<={newest}\n' in requirements
    pinned = re.search(r'^mindspore==(.*)$', (ROOT / 'constraints.txt').read_text(), re.MULTILINE)
    assert pinned[1] in matrix.VERSIONS
    for page in ('CONTRIBUTING.md', 'docs/versions.md', 'docs/getting_started.md'):
        assert f'MindSpore {oldest} to {newest}' in (ROOT / page).read_text(), page


def test_a_row_of_the_table():
    outcome = Outcome(Counter(passed=5, failed=2))
    assert matrix.row('2.8.0', outcome, 90.0) == '| 2.8.0 | 5 | 2 | 0 | 2 min |'
