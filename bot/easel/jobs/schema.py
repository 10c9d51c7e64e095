"""The tables of the plugin's database, made step by step, on SQLite and PostgreSQL alike."""

from mautrix.util.async_db import Connection, UpgradeTable

from ..language import ParseError
from ..language.parse import parse_recipe

upgrade_table = UpgradeTable()


async def upgrade_v1(connection: Connection) -> None:
    await connection.execute("CREATE TABLE capabilities (id INTEGER PRIMARY KEY, answer TEXT NOT NULL)")


async def upgrade_v2(connection: Connection) -> None:
    await connection.execute(
        "CREATE TABLE job (id TEXT PRIMARY KEY, room_id TEXT NOT NULL, event_id TEXT NOT NULL, sender TEXT NOT NULL, "
        "words TEXT NOT NULL, thread TEXT, is_caption BOOLEAN NOT NULL, seed BIGINT NOT NULL, "
        "pictures INTEGER NOT NULL, received_ms BIGINT NOT NULL, state TEXT NOT NULL, last_word TEXT NOT NULL, "
        "body TEXT, replaces TEXT, closed BOOLEAN NOT NULL)"
    )
    await connection.execute("CREATE INDEX job_event ON job (event_id)")
    await connection.execute("CREATE INDEX job_sender ON job (sender, received_ms)")
    await connection.execute(
        "CREATE TABLE posted (txn_id TEXT PRIMARY KEY, job TEXT NOT NULL, room_id TEXT NOT NULL, kind TEXT NOT NULL, "
        "n BIGINT NOT NULL, event_id TEXT)"
    )
    await connection.execute("CREATE INDEX posted_job ON posted (job)")
    await connection.execute("CREATE INDEX posted_event ON posted (event_id)")
    await connection.execute("CREATE TABLE handled (room_id TEXT PRIMARY KEY, event_id TEXT NOT NULL)")
    await connection.execute("CREATE TABLE to_forget (job TEXT PRIMARY KEY)")


async def upgrade_v3(connection: Connection) -> None:
    await connection.execute("ALTER TABLE job ADD COLUMN base TEXT")
    await connection.execute("ALTER TABLE job ADD COLUMN styles TEXT")
    await connection.execute(
        "CREATE TABLE style (room_id TEXT NOT NULL, name TEXT NOT NULL, words TEXT NOT NULL, made_by TEXT NOT NULL, "
        "PRIMARY KEY (room_id, name))"
    )
    await connection.execute(
        "CREATE TABLE recipe (job TEXT NOT NULL, n INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (job, n))"
    )


async def upgrade_v4(connection: Connection) -> None:
    await connection.execute("ALTER TABLE recipe ADD COLUMN prompt TEXT NOT NULL DEFAULT ''")
    await connection.execute("ALTER TABLE recipe ADD COLUMN model TEXT NOT NULL DEFAULT ''")
    await connection.execute("CREATE INDEX job_room ON job (room_id, received_ms)")
    await connection.execute("CREATE TABLE favourite (reaction TEXT PRIMARY KEY, event_id TEXT NOT NULL)")
    await connection.execute("CREATE INDEX favourite_event ON favourite (event_id)")
    await connection.execute("ALTER TABLE job ADD COLUMN photo TEXT")
    await connection.execute(
        "CREATE TABLE image (room_id TEXT NOT NULL, sha256 TEXT NOT NULL, event_id TEXT NOT NULL, "
        "PRIMARY KEY (room_id, sha256))"
    )
    for row in await connection.fetch("SELECT job, n, text FROM recipe"):
        try:
            asked = parse_recipe(row["text"])
        except ParseError:
            continue
        await connection.execute(
            "UPDATE recipe SET prompt = $3, model = $4 WHERE job = $1 AND n = $2",
            row["job"],
            row["n"],
            asked.slots.joined(),
            asked.model or "",
        )


async def upgrade_v5(connection: Connection) -> None:
    await connection.execute("ALTER TABLE job ADD COLUMN reply_to TEXT")


upgrade_table.register(upgrade_v1, description="What the generator last said it can do")
upgrade_table.register(upgrade_v2, description="Jobs, what was sent of them, and where each room was read up to")
upgrade_table.register(upgrade_v3, description="Recipes, for replies to them, and rooms' styles")
upgrade_table.register(upgrade_v4, description="What pictures are found by, and what they are drawn from")
upgrade_table.register(upgrade_v5, description="What a message replies to, for its edits")
