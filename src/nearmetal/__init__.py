"""nearmetal: how close to the metal does your network service need to be?"""

__version__ = "0.1.0"
