"""The tables of the plugin's database, on SQLite and PostgreSQL alike."""

from mautrix.util.async_db import Connection, UpgradeTable

upgrade_table = UpgradeTable()


async def create_tables(connection: Connection) -> None:
    await connection.execute("CREATE TABLE capabilities (id INTEGER PRIMARY KEY, answer TEXT NOT NULL)")
    await connection.execute("CREATE TABLE settings (id INTEGER PRIMARY KEY, written TEXT NOT NULL)")
    await connection.execute("CREATE TABLE to_forget (job TEXT PRIMARY KEY)")
    await connection.execute(
        "CREATE TABLE job (id TEXT PRIMARY KEY, room_id TEXT NOT NULL, event_id TEXT NOT NULL, sender TEXT NOT NULL, "
        "typed TEXT NOT NULL, thread TEXT, is_caption BOOLEAN NOT NULL, reply_to TEXT, request TEXT NOT NULL, "
        "photo TEXT, seed BIGINT NOT NULL, pictures BIGINT NOT NULL, received_ms BIGINT NOT NULL, "
        "state TEXT NOT NULL, last_word TEXT NOT NULL, body TEXT, replaces TEXT, closed BOOLEAN NOT NULL)"
    )
    await connection.execute("CREATE INDEX job_event ON job (event_id)")
    await connection.execute("CREATE INDEX job_sender ON job (sender, received_ms)")
    await connection.execute("CREATE INDEX job_room ON job (room_id, received_ms)")
    await connection.execute("CREATE INDEX job_received ON job (received_ms)")
    await connection.execute("CREATE INDEX job_open ON job (received_ms) WHERE state = 'open'")
    await connection.execute("CREATE INDEX job_unclosed ON job (received_ms) WHERE NOT closed")
    await connection.execute(
        "CREATE TABLE posted (txn_id TEXT PRIMARY KEY, job TEXT NOT NULL, room_id TEXT NOT NULL, kind TEXT NOT NULL, "
        "n BIGINT NOT NULL, event_id TEXT)"
    )
    await connection.execute("CREATE INDEX posted_job ON posted (job)")
    await connection.execute("CREATE INDEX posted_event ON posted (event_id)")
    await connection.execute("CREATE INDEX posted_note ON posted (room_id) WHERE kind = 'note'")
    await connection.execute(
        "CREATE TABLE recipe (job TEXT NOT NULL, n BIGINT NOT NULL, text TEXT NOT NULL, prompt TEXT NOT NULL, "
        "words TEXT NOT NULL, model TEXT NOT NULL, PRIMARY KEY (job, n))"
    )
    await connection.execute(
        "CREATE TABLE favourite (reaction TEXT PRIMARY KEY, room_id TEXT NOT NULL, event_id TEXT NOT NULL)"
    )
    await connection.execute("CREATE INDEX favourite_event ON favourite (event_id)")
    await connection.execute(
        "CREATE TABLE image (room_id TEXT NOT NULL, sha256 TEXT NOT NULL, event_id TEXT NOT NULL, "
        "PRIMARY KEY (room_id, sha256))"
    )
    # The gallery's pictures and sheets. Words are UTF-8 bytes, which both databases put in the same order.
    await connection.execute(
        "CREATE TABLE picture (id TEXT PRIMARY KEY, txn_id TEXT NOT NULL UNIQUE, job TEXT NOT NULL, n BIGINT NOT NULL, "
        "is_sheet BOOLEAN NOT NULL, pictures BIGINT NOT NULL, room_id TEXT NOT NULL, sender TEXT NOT NULL, "
        "drawn_ms BIGINT NOT NULL, prompt TEXT NOT NULL, origin TEXT, content TEXT NOT NULL)"
    )
    # The gallery goes through it in this order, whatever else is wanted.
    await connection.execute("CREATE INDEX picture_drawn ON picture (drawn_ms, id, room_id, sender)")
    await connection.execute("CREATE INDEX picture_job ON picture (job)")
    await connection.execute("CREATE INDEX picture_origin ON picture (origin)")
    await connection.execute(
        "CREATE TABLE picture_tag (room_id TEXT NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL, "
        "picture TEXT NOT NULL, PRIMARY KEY (room_id, kind, value, picture))"
    )
    await connection.execute("CREATE INDEX picture_tag_picture ON picture_tag (picture)")
    await connection.execute(
        "CREATE TABLE picture_word (word BYTEA NOT NULL, picture TEXT NOT NULL, PRIMARY KEY (word, picture))"
    )
    await connection.execute("CREATE INDEX picture_word_picture ON picture_word (picture)")
    await connection.execute(
        "CREATE TABLE gallery_key (hash TEXT PRIMARY KEY, kind TEXT NOT NULL, person TEXT NOT NULL, "
        "room_id TEXT NOT NULL, made_ms BIGINT NOT NULL)"
    )
    await connection.execute("CREATE INDEX gallery_key_person ON gallery_key (person, kind)")
    await connection.execute("CREATE INDEX gallery_key_room ON gallery_key (room_id, kind)")
    await connection.execute(
        "CREATE TABLE invited (chat TEXT PRIMARY KEY, person TEXT NOT NULL, room_id TEXT NOT NULL, "
        "event_id TEXT NOT NULL, is_frame BOOLEAN NOT NULL)"
    )
    await connection.execute(
        "CREATE TABLE style (room_id TEXT NOT NULL, name TEXT NOT NULL, words TEXT NOT NULL, made_by TEXT NOT NULL, "
        "PRIMARY KEY (room_id, name))"
    )
    await connection.execute("CREATE TABLE own_defaults (person TEXT PRIMARY KEY, request TEXT NOT NULL)")
    await connection.execute(
        "CREATE TABLE scheduled (event_id TEXT PRIMARY KEY, room_id TEXT NOT NULL, sender TEXT NOT NULL, thread TEXT, "
        "typed TEXT NOT NULL, day TEXT NOT NULL, minute BIGINT NOT NULL, next_ms BIGINT NOT NULL)"
    )
    await connection.execute("CREATE INDEX scheduled_room ON scheduled (room_id)")
    await connection.execute("CREATE INDEX scheduled_next ON scheduled (next_ms)")
    await connection.execute("CREATE TABLE handled (room_id TEXT PRIMARY KEY, event_id TEXT NOT NULL)")


async def add_ended_by(connection: Connection) -> None:
    await connection.execute("ALTER TABLE job ADD COLUMN ended_by TEXT")
    await connection.execute("CREATE INDEX job_ended_by ON job (ended_by) WHERE ended_by IS NOT NULL")


async def add_invitation(connection: Connection) -> None:
    await connection.execute("CREATE TABLE invitation (room_id TEXT PRIMARY KEY, invited_by TEXT NOT NULL)")


async def add_done(connection: Connection) -> None:
    await connection.execute("CREATE TABLE done (event_id TEXT PRIMARY KEY, answer TEXT NOT NULL)")


# Databases remember how many of these they have had.
upgrade_table.register(create_tables, description="All tables")
upgrade_table.register(add_ended_by, description="Which event ended a job")
upgrade_table.register(add_invitation, description="Rooms that the bot is about to join")
upgrade_table.register(add_done, description="What came of commands that are done once")
