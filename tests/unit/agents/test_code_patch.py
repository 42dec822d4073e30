import subprocess

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
