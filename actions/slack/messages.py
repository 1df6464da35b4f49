"""slack.message, slack.update and slack.file: through the outbox, so that a chat that is away delays no run."""

from __future__ import annotations

from pydantic import Field, field_validator

from actions.slack import byhand
from engine.contract import ActionParams, Notify, World
from engine.domain.canonical import Json
from engine.domain.message import Message, Section

MOST = 12_000  # characters of a message; a longer text belongs into a file


class ChannelParams(ActionParams):
    """Where it goes."""

    channel: str | None = Field(
        None,
        description="A channel that slack.channels names; left out: the incident's own",
        examples=["updates"],
    )


class MessageParams(ChannelParams):
    """Parameters of a message."""

    text: str = Field(
        description="What is said, plain text",
        examples=["Ingestion is paused since 03:15."],
        min_length=1,
        max_length=MOST,
    )
    title: str = Field("", description="Its heading", examples=["ETL"], max_length=150)
    fields: dict[str, str] = Field(
        {},
        description="Facts beside it, by name",
        examples=[{"Rows": "120"}],
        max_length=20,
    )
    code: str = Field(
        "", description="Text in fixed width below it", examples=["a\nb"], max_length=MOST
    )

    def message(self) -> Message:
        facts = tuple(self.fields.items())
        return Message(title=self.title, sections=(Section(self.text, facts, self.code),))


class PostParams(MessageParams):
    """Parameters of a new message."""

    thread: str | None = Field(
        None,
        description="The `message` of an earlier step, whose thread it goes into",
        examples=["{{ steps.tell.message }}"],
    )
    call: list[str] = Field(
        [], description="Roles that it calls", examples=[["sre"]], max_length=10
    )


class SlackMessage(Notify[PostParams]):
    """Posts one message, once a key.

    Output: `message`, by which later steps edit or answer it, and `channel`.
    """

    name = "slack.message"
    manual = byhand.message
    summary = "Post a message in the incident's channel or a named one"
    Params = PostParams
    risk = "low"

    def send(self, params: PostParams, world: World, key: str) -> Json:
        plain = params.message()
        message = Message(plain.title, plain.sections, mentions=tuple(params.call))
        return world.chat.post(message, key, channel=params.channel, thread=params.thread)

    def sent(self, params: PostParams, world: World, key: str) -> bool | None:
        del params
        return world.chat.accepted(key)


class UpdateParams(MessageParams):
    """Parameters of an edit."""

    of: str = Field(
        description="The `message` of the step that posted it",
        examples=["{{ steps.tell.message }}"],
        min_length=1,
    )


class SlackUpdate(Notify[UpdateParams]):
    """Replaces a message that an earlier step posted. Of several edits that wait, the newest is sent.

    Output: `message` and `channel`, of this edit.
    """

    name = "slack.update"
    manual = byhand.update
    summary = "Edit a message that an earlier step posted"
    Params = UpdateParams
    risk = "low"

    def send(self, params: UpdateParams, world: World, key: str) -> Json:
        chat = world.chat
        return chat.update(params.of, params.message(), key, channel=params.channel)

    def sent(self, params: UpdateParams, world: World, key: str) -> bool | None:
        del params
        return world.chat.accepted(key)


class FileParams(ChannelParams):
    """Parameters of a file."""

    filename: str = Field(
        description="Its name",
        examples=["errors.csv"],
        min_length=1,
        max_length=120,
    )
    text: str = Field(
        description="Its content",
        examples=["id,error\n1,timeout\n"],
        min_length=1,
        max_length=2**20,
    )
    comment: str = Field(
        "", description="What is said beside it", examples=["The rows set aside"], max_length=3000
    )

    @field_validator("filename")
    @classmethod
    def _name(cls, value: str) -> str:
        if "/" in value or "\\" in value or not value.isprintable():
            raise ValueError("a file's name has no slashes and no control characters")
        return value


class SlackFile(Notify[FileParams]):
    """Puts a text file into the channel, once a key.

    Output: `message` and `channel`.
    """

    name = "slack.file"
    manual = byhand.file
    summary = "Put a text file into the incident's channel or a named one"
    Params = FileParams
    risk = "low"

    def send(self, params: FileParams, world: World, key: str) -> Json:
        return world.chat.upload(
            params.filename, params.text, key, comment=params.comment, channel=params.channel
        )

    def sent(self, params: FileParams, world: World, key: str) -> bool | None:
        del params
        return world.chat.accepted(key)
