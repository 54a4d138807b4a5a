"""Files and folders: the only package that replaces, moves, truncates or removes them.

It is apart so that one place decides which of a user's files a run may touch.
"""

from .atomic import (
    empty_file,
    remove_unfinished,
    replaced,
    staged_file,
    staged_folder,
    write_atomically,
)
from .file_names import component_problem, is_id, name_problem
from .ownership import MARKER, clear_place, mark, owner, remove_owned, run_named_in
from .paths import all_inside, existing_part, file_inside, folder_inside, free_name, inside, kind_of
from .removal import (
    keep_aside,
    move,
    remove_file,
    remove_known,
    remove_stale,
    remove_tree,
    take_place,
    truncate_file,
)
from .untrusted_files import open_input, open_regular, parse_json, read_json
from .zip_archives import ZipWriter, is_zip, new_zip, unpack

__all__ = [
    "MARKER",
    "ZipWriter",
    "all_inside",
    "clear_place",
    "component_problem",
    "empty_file",
    "existing_part",
    "file_inside",
    "folder_inside",
    "free_name",
    "inside",
    "is_id",
    "is_zip",
    "keep_aside",
    "kind_of",
    "mark",
    "move",
    "name_problem",
    "new_zip",
    "open_input",
    "open_regular",
    "owner",
    "parse_json",
    "read_json",
    "remove_file",
    "remove_known",
    "remove_owned",
    "remove_stale",
    "remove_tree",
    "remove_unfinished",
    "replaced",
    "run_named_in",
    "staged_file",
    "staged_folder",
    "take_place",
    "truncate_file",
    "unpack",
    "write_atomically",
]
