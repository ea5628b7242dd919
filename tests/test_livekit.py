"""The avatar in LiveKit: the real `livekit-agents` (AvatarRunner, DataStreamAudioOutput and -Receiver, AVSynchronizer), in a room that is a stand-in.

Two participants of one process: what one sends, the other one gets. No server, no network; tracks are taken and not sent."""
import asyncio
from types import SimpleNamespace
import numpy as np, pytest
from lipsync_kit.core import KitError
from lipsync_kit.live.avatar import Avatar
from test_live import PHOTO, Stuck

rtc = pytest.importorskip('livekit.rtc', reason="LiveKit is not installed: pip install 'lipsync_kit[livekit]'")
parts = pytest.importorskip('livekit.agents.voice.avatar', reason="LiveKit is not installed: pip install 'lipsync_kit[livekit]'")
from lipsync_kit.live import livekit as ours

class Reader:
    "A byte stream on its way"
    def __init__(self, attributes): self.info, self.queue = SimpleNamespace(attributes=attributes, stream_id='s'), asyncio.Queue()
    def __aiter__(self): return self
    async def __anext__(self):
        data = await self.queue.get()
        if data is None: raise StopAsyncIteration
        return data

class Local:
    "The participant of a room in whose place this process stands"
    def __init__(self, room): self.room, self.identity, self._rpc_handlers = room, room.identity, {}
    def register_rpc_method(self, name, handler): self._rpc_handlers[name] = handler
    async def perform_rpc(self, *, destination_identity, method, payload, **_):
        known = self.room.peer.local_participant._rpc_handlers
        if method not in known: raise rtc.RpcError(rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD, method)
        return known[method](rtc.RpcInvocationData('1', self.identity, payload, 5))
    async def stream_bytes(self, *, attributes, topic, **_):
        reader = Reader(attributes)
        self.room.peer.handlers[topic](reader, self.identity)
        async def write(data): reader.queue.put_nowait(bytes(data))
        async def aclose(**_): reader.queue.put_nowait(None)
        return SimpleNamespace(write=write, aclose=aclose)
    async def publish_track(self, track, options):
        self.room.tracks.append(track.name)
        async def wait_for_subscription(): pass
        return SimpleNamespace(wait_for_subscription=wait_for_subscription)

class Room(rtc.EventEmitter):
    "A stand-in for `rtc.Room`"
    def __init__(self, identity):
        super().__init__()
        self.identity, self.handlers, self.tracks, self.name = identity, {}, [], 'room'
        self.local_participant, self.remote_participants = Local(self), {}
    def isconnected(self): return True
    def register_byte_stream_handler(self, topic, handler): self.handlers[topic] = handler
    def sees(self, peer):
        self.peer, kind = peer, rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        self.remote_participants[peer.identity] = SimpleNamespace(identity=peer.identity, kind=kind, state=rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE)

def rooms():
    agent, avatar = Room('agent'), Room(ours.IDENTITY)
    agent.sees(avatar), avatar.sees(agent)
    return agent, avatar

def voice(seconds, rate=24000):
    x = (np.sin(np.arange(round(seconds * rate)) / 9) * 9000).astype(np.int16)
    return [rtc.AudioFrame(p.tobytes(), rate, 1, len(p)) for p in np.array_split(x, 7)]

class Sent:
    "What reaches the sources of the tracks"
    def __init__(self, monkeypatch):
        self.log = []
        video, audio = rtc.VideoSource.capture_frame, rtc.AudioSource.capture_frame
        def picture(source, frame, **words):
            self.log.append((frame.width, frame.height))
            video(source, frame, **words)
        async def sound(source, frame):
            self.log.append(frame.samples_per_channel)
            await audio(source, frame)
        monkeypatch.setattr(rtc.VideoSource, 'capture_frame', picture)
        monkeypatch.setattr(rtc.AudioSource, 'capture_frame', sound)
    @property
    def heard(self): return sum(n for n in self.log if isinstance(n, int)) / 24000
    async def until(self, seconds):
        while self.heard < seconds: await asyncio.sleep(.01)

async def held(talk, sent, face=None):
    "A conversation of an agent with the avatar's worker"
    agent, room = rooms()
    avatar = Avatar(face or Stuck(), rate=ours.RATE_OUT, **(dict(size=128, motion_model='rules') if face else {}))
    worker = asyncio.create_task(ours.speak_in(room, avatar))
    async def seen():                     # an agent waits for the video, as the page says
        while len(room.tracks) < 2: await asyncio.sleep(.01)
    await asyncio.wait_for(seen(), 60)
    output = parts.DataStreamAudioOutput(agent, destination_identity=ours.IDENTITY, sample_rate=24000, wait_playback_start=True)
    ends = asyncio.Queue()
    output.on('playback_finished', ends.put_nowait)
    try: await talk(output, ends)
    finally:
        room.emit('participant_disconnected', room.remote_participants['agent'])
        await asyncio.wait_for(worker, 20)
        avatar.close()
    assert room.tracks == ['avatar_audio', 'avatar_video']

def test_it_is_what_livekit_asks_for():
    assert parts.VideoGenerator.__abstractmethods__ <= set(dir(ours.LiveKitAvatar))

def test_a_segment_is_said_and_its_end_is_told(monkeypatch):
    sent = Sent(monkeypatch)
    async def talk(output, ends):
        for _ in range(2):
            for frame in voice(.5): await output.capture_frame(frame)
            output.flush()
            end = await asyncio.wait_for(ends.get(), 20)
            assert not end.interrupted and abs(end.playback_position - .5) <= .02 + 1e-6
    asyncio.run(held(talk, sent, str(PHOTO)))
    pictures = [x for x in sent.log if isinstance(x, tuple)]
    assert set(pictures) == {(128, 128)} and abs(sent.heard - 1.) <= .05      # silence was not counted

def test_an_interruption_stops_and_tells_what_was_heard(monkeypatch):
    sent = Sent(monkeypatch)
    async def talk(output, ends):
        for frame in voice(20): await output.capture_frame(frame)
        output.flush()
        await sent.until(.3)
        output.clear_buffer()
        end = await asyncio.wait_for(ends.get(), 20)
        heard = sent.heard
        assert end.interrupted and abs(end.playback_position - heard) <= .1
        await asyncio.sleep(.3)
        assert sent.heard - heard <= .05                                       # nothing of it comes later
        for frame in voice(.2): await output.capture_frame(frame)              # and the next answer is whole
        output.flush()
        end = await asyncio.wait_for(ends.get(), 20)
        assert not end.interrupted and abs(end.playback_position - .2) <= .02 + 1e-6
    asyncio.run(held(talk, sent))

def test_an_end_that_comes_late_is_told():
    "A voice that comes as it is spoken: all of it was taken when its end comes"
    async def talk(output, ends):
        for frame in voice(.2): await output.capture_frame(frame)
        await asyncio.sleep(.8)
        output.flush()
        end = await asyncio.wait_for(ends.get(), 20)
        assert not end.interrupted and abs(end.playback_position - .2) <= .04 + 1e-6
    asyncio.run(held(talk, None))

def test_who_leaves_early_ends_the_worker():
    async def leave():
        agent, room = rooms()
        room.remote_participants = {}
        worker = asyncio.create_task(ours.speak_in(room, Avatar(Stuck(), rate=ours.RATE_OUT), 'agent'))
        await asyncio.sleep(.1)
        assert not worker.done()
        room.emit('disconnected', 'SERVER_SHUTDOWN')
        await asyncio.wait_for(worker, 20)
    asyncio.run(leave())

def test_tokens_and_what_goes_wrong(monkeypatch):
    import jwt
    monkeypatch.setenv('LIVEKIT_API_KEY', 'key')
    monkeypatch.setenv('LIVEKIT_API_SECRET', 's' * 32)
    claims = jwt.decode(ours.room_token('lobby', 'bob'), 's' * 32, algorithms=['HS256'])
    assert (claims['sub'], claims['kind'], claims['video']['room']) == (ours.IDENTITY, 'agent', 'lobby')
    assert claims['attributes'] == {'lk.publish_on_behalf': 'bob'}
    with pytest.raises(KitError, match='lets nobody in'):
        asyncio.run(ours.join(Stuck(), 'ws://127.0.0.1:9', ours.room_token('lobby')))
