"""The gallery: web pages with the pictures of the rooms that a person is in."""
