"""Prints, as one JSON object, what systemd finds in an env file, through the library of the installed systemd.

Usage: systemd.py FILE. Exits with 1 where systemd finds fault with the file, or with one of the variables.
"""

import ctypes
import glob
import json
import os
import sys

PLACES = ["/usr/lib/*/systemd", "/usr/lib/systemd", "/lib/systemd"]

libraries = [path for place in PLACES for path in glob.glob(place + "/libsystemd-shared-*.so")]
if not libraries:
    sys.exit("libsystemd-shared is not installed")
systemd = ctypes.CDLL(libraries[0])
systemd.load_env_file.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
systemd.env_assignment_is_valid.argtypes = [ctypes.c_char_p]
systemd.env_assignment_is_valid.restype = ctypes.c_bool

assignments = ctypes.POINTER(ctypes.c_char_p)()
code = systemd.load_env_file(None, os.fsencode(sys.argv[1]), ctypes.byref(assignments))
if code < 0:
    sys.exit(os.strerror(-code))

values = {}
index = 0
while assignments and assignments[index] is not None:
    assignment = assignments[index]
    if not systemd.env_assignment_is_valid(assignment):
        sys.exit("the manager drops " + assignment.decode(errors="replace").partition("=")[0])
    name, _, value = assignment.decode().partition("=")
    values[name] = value
    index += 1
json.dump(values, sys.stdout)
