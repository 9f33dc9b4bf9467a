"""Datapaths written in Python: one file each, named as in the specs."""
