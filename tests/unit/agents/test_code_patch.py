import shutil
import subprocess

import pytest

from agents.code_patch import completed, merged, patch, placed

FILE = '''"""Numbers."""
import os


@cached
def one():
    return 1


def two():
    return 2


THREE = 3
'''


def test_a_definition_takes_the_place_of_the_one_with_its_name():
    new = merged(FILE, "import re\nimport os\n\ndef one():\n    return re.I\n")

    assert new == FILE.replace("import os\n", "import os\nimport re\n").replace(
        "@cached\ndef one():\n    return 1", "def one():\n    return re.I"
    )


def test_what_is_new_goes_to_the_end():
    new = merged(FILE, "def two():\n    return four() - 2\n\ndef four():\n    return 4\n")

    assert new.endswith("THREE = 3\n\n\ndef four():\n    return 4\n")


def test_code_that_defines_all_is_the_new_file():
    code = "def one(): ...\ndef two(): ...\n"

    assert merged(FILE, code) == code


def test_code_goes_to_the_file_that_shares_most_with_it():
    files = {"a.py": "def one(): ...\n", "b.py": FILE, "notes.txt": "def one", "c.py": "def ("}

    assert placed(files, "def one(): ...\ndef two(): ...\n").target == "b.py"
    assert placed(files, "def other(): ...\n").target == ""


def test_a_patch_can_be_applied(tmp_path):
    new = merged(FILE, "def two():\n    return 1 + 1\n")
    (tmp_path / "numbers.py").write_text(FILE)
    difference = patch("numbers.py", FILE, new)

    subprocess.run(["git", "apply", "-"], input=difference, text=True, cwd=tmp_path, check=True)

    assert (tmp_path / "numbers.py").read_text() == new


def test_what_the_request_has_above_its_function_is_not_lost():
    header = "import re\nfrom typing import List\n\ndef one():\n    return 1\n\ndef f(x: List):\n"

    whole = completed("import re\n\ndef f(x: List):\n    return one()\n", header)

    assert whole.startswith("from typing import List\ndef one():\n    return 1\n\n\nimport re\n")
    assert completed(whole, header) == whole
    assert completed("def (", header) == "def ("


SHOP = '''"""A shop."""

import os


@dataclass
class Shop(Base):
    """Sells."""

    name: str
    rate = 2

    def buy(self, price):
        return price

    @property
    def open(self):
        return True


def other():
    return 1
'''


def test_of_a_class_only_the_method_that_changes_is_replaced():
    code = (
        "class Shop(Base):\n    rate = 3\n\n"
        "    def buy(self, price):\n        return price * self.rate\n\n"
        "    def sell(self):\n        pass\n"
    )

    new = merged(SHOP, code)

    assert new == SHOP.replace("rate = 2", "rate = 3").replace(
        "return price\n", "return price * self.rate\n"
    ).replace("        return True\n", "        return True\n\n    def sell(self):\n        pass\n")


def test_a_class_gets_its_new_bases():
    new = merged(SHOP, "class Shop(Base, Other):\n    def buy(self, price):\n        return 0\n")

    assert 'class Shop(Base, Other):\n    """Sells."""\n' in new
    assert "@dataclass\nclass Shop" in new
    assert "def open(self)" in new


def test_a_method_is_set_in_as_the_file_is():
    old = "class A:\n  def f(self):\n    return 1\n\n  def g(self):\n    return 2\n"

    new = merged(old, "class A:\n    def f(self):\n        return 3\n")

    assert new == "class A:\n  def f(self):\n      return 3\n\n  def g(self):\n    return 2\n"


@pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "\n"])
def test_git_applies_a_patch(tmp_path, ends, last):
    old = (SHOP.rstrip("\n") + last).replace("\n", ends)
    new = merged(old, "def other():\n    return 2\n")
    (tmp_path / "shop.py").write_bytes(old.encode())
    (tmp_path / "it.patch").write_bytes(patch("shop.py", old, new).encode())

    done = subprocess.run(["git", "apply", "it.patch"], cwd=tmp_path, capture_output=True)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "shop.py").read_bytes() == new.encode()
    assert "return 2" in new
