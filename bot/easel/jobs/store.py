"""The plugin's database. Each table's questions are in a module of its own; `schema` makes the tables."""

from .defaults_table import DefaultsTable
from .event_tables import EventTables
from .gallery_table import GalleryTable
from .generator_tables import GeneratorTables
from .invitation_table import InvitationTable
from .job_table import JobTable
from .key_table import KeyTable
from .picture_tables import PictureTables
from .schedule_table import ScheduleTable
from .settings_table import SettingsTable
from .style_table import StyleTable


class Store(
    JobTable,
    EventTables,
    PictureTables,
    GalleryTable,
    KeyTable,
    StyleTable,
    DefaultsTable,
    ScheduleTable,
    InvitationTable,
    GeneratorTables,
    SettingsTable,
):
    """Every question to every table."""
