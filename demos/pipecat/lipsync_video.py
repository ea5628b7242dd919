"""A face for a bot of Pipecat: its voice goes to `lipsync serve`, pictures and sound come back in step.

Nothing of lipsync_kit is imported, so its packages need not agree with Pipecat's. Copy this file beside your bot and put the service between the
voice (TTS) and the output of the transport."""
import asyncio, io, json, struct
from contextlib import suppress
from dataclasses import dataclass
import numpy as np
from PIL import Image
from pipecat.frames.frames import CancelFrame, EndFrame, InterruptionFrame, OutputImageRawFrame, StartFrame, TTSAudioRawFrame, TTSStoppedFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.ai_service import AIService
from pipecat.services.settings import ServiceSettings
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

PICTURE, SOUND = 1, 2     # first byte of what the server sends; then a double, its time in seconds
PIECE = 9600              # bytes of sound in a message
LAST_WORDS = 60           # seconds that may be said after the pipeline was asked to end

@dataclass
class LipsyncVideoSettings(ServiceSettings):
    "There is nothing to set while it runs"

class LipsyncVideoService(AIService):
    """Speaks with the face of a `lipsync serve`.

    `url` is its `/v1/avatar`, `token` what it was started with. TTSAudioRawFrames go in; OutputImageRawFrames and TTSAudioRawFrames come out, a
    TTSStoppedFrame once the sound before it has come. An InterruptionFrame stops at once, and `heard` is what of the segment had come by then,
    in seconds. Where the server is not there, the voice passes through without a face, and an ErrorFrame says so."""
    Settings = LipsyncVideoSettings

    def __init__(self, url='ws://127.0.0.1:7870/v1/avatar', *, token='', rate=24000, **kwargs):
        super().__init__(settings=LipsyncVideoSettings(model=None), **kwargs)
        self._url, self._rate = f'{url}?rate={rate}', rate
        self._headers = {'Authorization': f'Bearer {token}'} if token else {}
        self._socket = self._task = None
        self._begin()
        self._clearing, self.heard, self.size = 0, 0., None       # answers to come before sound counts again

    def _begin(self):
        self._sent, self._open, self._stops, self._quiet = self._rate, False, [], asyncio.Event()
        self._quiet.set()

    async def start(self, frame: StartFrame):
        await super().start(frame)
        try:
            self._socket = await connect(self._url, additional_headers=self._headers, max_size=2**24, compression=None)
            said = json.loads(await self._socket.recv())
            if said['type'] != 'ready': raise OSError(said.get('message', 'no face is there'))
            self.size = said['width'], said['height']
        except (OSError, InvalidHandshake, ConnectionClosed, TimeoutError) as e: await self._lost(e)

    async def stop(self, frame: EndFrame):
        if self._socket:
            if self._open: await self._end(None)
            with suppress(asyncio.TimeoutError): await asyncio.wait_for(self._quiet.wait(), LAST_WORDS)
        await super().stop(frame)
        await self._close()

    async def cancel(self, frame: CancelFrame):
        await super().cancel(frame)
        await self._close()

    async def cleanup(self):
        await super().cleanup()
        await self._close()

    async def process_frame(self, frame, direction: FrameDirection):
        await super().process_frame(frame, direction)
        if self._socket is not None:
            try:
                if isinstance(frame, TTSAudioRawFrame): return await self._say(frame)
                if isinstance(frame, TTSStoppedFrame) and self._open: return await self._end((frame, direction))
                if isinstance(frame, InterruptionFrame): await self._clear()
            except ConnectionClosed as e: await self._lost(e)
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame) and self._socket is not None: self._task = self.create_task(self._receive())

    async def _say(self, frame: TTSAudioRawFrame):
        if frame.sample_rate != self._sent:
            if self._open: await self._end(None)                   # a segment has one rate
            await self._socket.send(json.dumps(dict(type='rate', rate=frame.sample_rate)))
            self._sent = frame.sample_rate
        x = np.frombuffer(frame.audio, '<i2').reshape(-1, frame.num_channels).mean(1).astype('<i2').tobytes()
        self._open = bool(x) or self._open
        self._quiet.clear() if self._open else None
        for i in range(0, len(x), PIECE): await self._socket.send(x[i:i + PIECE])

    async def _end(self, stop):
        "The segment is complete; `stop` is passed on when it was said"
        self._open = False
        self._stops.append(stop)
        await self._socket.send(json.dumps(dict(type='end')))

    async def _clear(self):
        self._clearing, self._open, self._stops = self._clearing + 1, False, []
        self._quiet.set()
        await self._socket.send(json.dumps(dict(type='clear')))

    async def _receive(self):
        "What the face shows and says"
        try:
            async for message in self._socket: await (self._told(json.loads(message)) if isinstance(message, str) else self._shown(message))
            if self._socket: await self._lost('it has closed the connection')
        except ConnectionClosed as e: await self._lost(e)

    async def _shown(self, message):
        kind, data = struct.unpack('<Bd', message[:9])[0], message[9:]
        if kind == PICTURE:
            image = await asyncio.to_thread(lambda: Image.open(io.BytesIO(data)).convert('RGB'))
            frame = OutputImageRawFrame(image=image.tobytes(), size=image.size, format='RGB')
            frame.sync_with_audio = True
            await self.push_frame(frame)
        elif kind == SOUND and not self._clearing: await self.push_frame(TTSAudioRawFrame(audio=data, sample_rate=self._rate, num_channels=1))

    async def _told(self, said):
        if said['type'] == 'cleared': self._clearing, self.heard = self._clearing - 1, said['heard']
        elif said['type'] == 'end' and not self._clearing and self._stops: await self._stopped(self._stops.pop(0))
        elif said['type'] == 'error': await self.push_error(error_msg=f"lipsync: {said['message']}")

    async def _stopped(self, stop):
        if stop: await self.push_frame(*stop)
        if not self._stops and not self._open: self._quiet.set()

    async def _lost(self, why):
        "Go on without a face"
        socket, self._socket = self._socket, None
        stops = self._stops
        self._begin()
        for stop in stops: await self._stopped(stop)
        if socket: await socket.close()
        await self.push_error(error_msg=f'no face from {self._url.partition("?")[0]}: {why}; the voice goes on without one')

    async def _close(self):
        socket, task, self._socket, self._task = self._socket, self._task, None, None
        if task: await self.cancel_task(task)
        if socket: await socket.close()
