"""The promise: each accepted job is kept in the database until its picture is in the room."""
