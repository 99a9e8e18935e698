"""Tests; a package, so that one of this name among the installed ones does not stand for it."""
