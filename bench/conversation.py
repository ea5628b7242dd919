"""How long a conversation takes by stage, warm, with what works offline: end of a three-second question to its transcript, first sentence of the
answer to its first sound, first sound to the first frame. Seconds on the wall, and of the processor, since other work on the machine moves the wall."""
import sys, time
import numpy as np
from lipsync_kit.audio.signal import resample
from lipsync_kit.core import Audio
from lipsync_kit.live.conversation import Conversation
from lipsync_kit.speech.tts import speak

QUESTION = 'Hello there, could you please tell me who you are?'
TARGETS = dict(transcript=.3, audio=.3, frame=.2)

class Watch:
    def __init__(self): self.wall, self.cpu = time.perf_counter(), time.process_time()
    def __call__(self): return np.array([time.perf_counter() - self.wall, time.process_time() - self.cpu])

def chunks(audio, seconds=.1):
    for a in np.arange(0, audio.duration, seconds): yield audio.cut(a, min(a + seconds, audio.duration))

def one(c, question):
    "(wall, processor) of each stage of one turn; the question is heard while it is spoken, as from a microphone"
    if c._next: c._next.result()      # it is opened in the seconds in which the question is spoken, which take no time here
    hearing = c.hear()
    for x in chunks(question): hearing.push(x)
    w = Watch()
    text = hearing.end()
    res, w, at = dict(transcript=w()), Watch(), {}
    for e in c.stream(text):
        if e.kind not in at: at[e.kind] = w()
        if e.kind == 'frame': break
    c.interrupt()
    return res | dict(audio=at['audio'] - at['sentence'], frame=at['frame'] - at['audio']), text

def main(face, voice='hibari', stt='auto', turns=6):
    c = Conversation(face, stt, 'scripted', voice, frame='head', size=256)
    question = resample(speak(QUESTION, 'hibari').audio)
    c.warm()
    rows = []
    for _ in range(turns):
        row, text = one(c, question)
        rows.append(row)
    print(f'{question.duration:.1f} s: {text!r}; voice {voice}, {stt}')
    for k, limit in TARGETS.items():
        wall, cpu = np.median([r[k] for r in rows], 0)
        print(f'{k:11} {1000 * wall:6.0f} ms on the wall, {1000 * cpu:6.0f} ms of processor; at most {1000 * limit:.0f}')

if __name__ == '__main__':
    from importlib.resources import files
    main(sys.argv[1] if len(sys.argv) > 1 else files('lipsync_kit')/'data'/'astronaut.jpg', *sys.argv[2:4])
