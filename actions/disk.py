"""What an operating system's error about a file means for the retry policy."""

from __future__ import annotations

import errno

from engine.contract import Category

_CATEGORIES = {
    errno.ENOSPC: Category.RESOURCE,
    errno.EDQUOT: Category.RESOURCE,
    errno.EIO: Category.RESOURCE,
    errno.EMFILE: Category.RESOURCE,
    errno.EACCES: Category.CONFIGURATION,
    errno.EPERM: Category.CONFIGURATION,
    errno.EROFS: Category.CONFIGURATION,
    errno.EEXIST: Category.CONFIGURATION,  # a parent that is a file is reported as one that exists
    errno.EISDIR: Category.CONFIGURATION,
    errno.ENOTDIR: Category.CONFIGURATION,
    errno.ENOENT: Category.CONFIGURATION,
}


def category_of(error: OSError) -> Category:
    """Return the category of the error; transient where it is none of those known."""
    return _CATEGORIES.get(error.errno or 0, Category.TRANSIENT)
