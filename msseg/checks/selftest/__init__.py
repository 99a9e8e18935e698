"""The self-test of a machine and its cards: ``msseg selftest``.

`run` starts the parts, each in processes of its own, as a driver may hang or end one, and writes
the report. A part is a list of checks, which `worker` runs on the device.
"""
