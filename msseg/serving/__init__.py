"""A page to try a model on images, and the same as JSON: what ``msseg serve`` starts."""
