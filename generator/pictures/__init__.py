"""Pictures on disk and as bytes: files, thumbnails, contact sheets, photos to draw from. Never imports torch."""
