"""A finished comparison in a folder that anybody can check: published, verified, compared."""
