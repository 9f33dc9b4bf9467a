"""The wires, one file each: its description (WIRE), and the code to bring it up and remove it.

The journal records the parts of a wire, so that they can be removed after a kill. known.py lists
this folder: a file added here is a wire for every stage.
"""
