import pytest

from shared.catalog.yaml import load_catalog, read_catalog
from shared.catalog.yaml.source import plain
from shared.errors import InvalidInput
from tests.samples.catalog import CATALOG, write_files


def test_a_folder_is_read_as_one_catalog(tmp_path, world):
    head, tail = CATALOG.split("dashboards:\n")
    write_files(tmp_path)
    (tmp_path / "catalog.yaml").unlink()
    (tmp_path / "b.yaml").write_text(head)
    (tmp_path / "a.yml").write_text(f"dashboards:\n{tail}")
    (tmp_path / "notes.txt").write_text("not: [yaml")
    assert read_catalog(tmp_path)[1] == []
    assert load_catalog(tmp_path, world.sessions, world.settings).unchanged == 17


def test_a_csv_is_found_beside_the_file_or_in_the_folders_parent(tmp_path):
    folder = tmp_path / "catalog"
    folder.mkdir()
    write_files(tmp_path).rename(folder / "all.yaml")
    assert read_catalog(folder)[1] == []
    assert read_catalog(folder / "all.yaml")[1] == []


def test_two_files_may_not_define_the_same(tmp_path):
    write_files(tmp_path)
    (tmp_path / "more.yaml").write_text("users: [{username: ada}]")
    (problem,) = read_catalog(tmp_path)[1]
    assert (problem.file, problem.line, problem.field) == (str(tmp_path / "more.yaml"), 1, "users[0].username")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: [1\nb: 2\n", 2, "is no valid YAML"),
        ("users:\n- {username: a}\nusers: []\n", 3, "is no valid YAML"),
        ("- 1\n", 1, "must be a mapping"),
        ("a: \x07", 1, "is no valid YAML"),
    ],
)
def test_what_is_no_yaml_is_a_problem_with_its_line(tmp_path, text, line, message):
    (tmp_path / "x.yaml").write_text(text)
    (problem,) = read_catalog(tmp_path / "x.yaml")[1]
    assert (problem.line, message in problem.message) == (line, True)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    for path in (tmp_path / "gone.yaml", tmp_path):
        with pytest.raises(InvalidInput, match="neither"):
            read_catalog(path)


def test_an_empty_file_is_an_empty_catalog(tmp_path):
    (tmp_path / "x.yaml").write_text("# nothing\n")
    assert read_catalog(tmp_path)[1] == []


def test_dates_of_yaml_become_iso_text(tmp_path):
    from ruamel.yaml import YAML

    tree = YAML(typ="rt").load("{a: 2024-01-02, b: 2024-01-02T03:04:05, c: [1, 1.5, true, null, 'x'], 5: y}")
    assert plain(tree) == {"a": "2024-01-02", "b": "2024-01-02T03:04:05", "c": [1, 1.5, True, None, "x"], "5": "y"}
