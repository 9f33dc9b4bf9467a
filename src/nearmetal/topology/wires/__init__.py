"""The wires, one file each: what the wire is (WIRE), and how it is brought up and taken down.

What a kill leaves behind is in the journal. known.py lists this folder: a file that is added here
is a wire that every stage knows.
"""
