"""The families of models register the names that files have for them."""

import importlib

importlib.import_module('msseg.models')
