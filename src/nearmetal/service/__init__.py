"""Services of users' own: the records by which the generator asks any service."""
