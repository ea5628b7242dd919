"""The service in a pipeline of the real Pipecat, against a server that runs: `python check.py ws://127.0.0.1:7870/v1/avatar`; prints what came, as JSON"""
import asyncio, json, sys
import numpy as np
from loguru import logger
from pipecat.frames.frames import ErrorFrame, InterruptionFrame, OutputImageRawFrame, TTSAudioRawFrame, TTSStartedFrame, TTSStoppedFrame
from pipecat.tests.utils import SleepFrame, run_test
from lipsync_video import LipsyncVideoService

RATE = 16000

def voice(seconds, hz):
    "A tone in pieces of 100 ms"
    x = (np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE) * 9000).astype('<i2')
    return [TTSAudioRawFrame(audio=p.tobytes(), sample_rate=RATE, num_channels=1) for p in np.split(x, range(RATE // 10, len(x), RATE // 10))]

def seconds(frames): return round(sum(len(f.audio) for f in frames if isinstance(f, TTSAudioRawFrame)) / 48000, 3)

async def said(url, frames):
    service = LipsyncVideoService(url)
    down, up = await run_test(service, frames_to_send=frames, start_timeout=60)
    stops = [i for i, f in enumerate(down) if isinstance(f, TTSStoppedFrame)]
    pictures = [f for f in down if isinstance(f, OutputImageRawFrame)]
    cut = next((i for i, f in enumerate(down) if isinstance(f, InterruptionFrame)), len(down))
    return dict(stops=[seconds(down[:i]) for i in stops], sound=seconds(down), pictures=len(pictures), sizes=sorted({f.size for f in pictures}),
                bytes=len(pictures[0].image) if pictures else 0, after=seconds(down[cut:]), before=seconds(down[:cut]), heard=service.heard,
                errors=[f.error for f in up if isinstance(f, ErrorFrame)])

async def main(url):
    whole = [TTSStartedFrame(), *voice(.6, 200), TTSStoppedFrame(), TTSStartedFrame(), *voice(.4, 300), TTSStoppedFrame()]
    broken = [TTSStartedFrame(), *voice(8, 200), SleepFrame(sleep=1.5), InterruptionFrame(), SleepFrame(sleep=.5), *voice(.3, 300), TTSStoppedFrame()]
    return dict(whole=await said(url, whole), unended=await said(url, voice(.5, 200)), broken=await said(url, broken), alone=await said('ws://127.0.0.1:9/v1/avatar', whole))

logger.remove()
print(json.dumps(asyncio.run(main(sys.argv[1]))))
