"""How soon a voice is heard: seconds of processor to the first sound of a sentence and to all of it, at once and in pieces (`stream(soon=True)`);
how late a piece would come if the processor did nothing else and the first one played as soon as it was made (below 0: in time); and the words
that a recogniser writes down differently of the two."""
import re, sys, time
import numpy as np
from torchmetrics.functional.text import word_error_rate
from lipsync_kit.speech.stt import transcribe
from lipsync_kit.speech.tts import joined, stream
from lipsync_kit.speech.voices.hibari import english_symbols

SENTENCES = (
    'Yes.', 'Hello there!', 'Good morning, how can I help you today?', 'I am a face on a screen.',
    'My name is Anna and I am here to help you with your questions.',
    'Dr. Smith paid $3.50 for 24 apples on the 3rd of May.',
    'Well, I do not know that, but I can find it out for you.',
    'The quick brown fox jumps over the lazy dog near the old river bank while the sun goes down.',
    'I am a face on a screen, and everything I say is made on this machine.',
    'We open at 9:30 in the morning and close at half past five in the afternoon, except on Sundays, when we rest.')

def spoken(text, voice, soon):
    "(pieces, seconds of processor at which each was there)"
    begun, pieces, at = time.process_time(), [], []
    for s in stream(text, voice, soon=soon):
        pieces.append(s)
        at.append(time.process_time() - begun)
    return pieces, np.array(at)

def latest(pieces, at):
    "Seconds by which the latest piece is late, of those after the first"
    heard = at[0] + np.cumsum([p.audio.duration for p in pieces])
    return max((at[1:] - heard[:-1]).tolist(), default=float('nan'))

def words(s):
    "What a recogniser hears, word by word as it is pronounced: $3.50 is three dollars and fifty cents"
    heard = ' '.join(english_symbols(transcribe(s.audio, 'whisper-tiny.en').text))
    return re.sub(r'[^\w ]', '', heard).split()

def differing(a, b):
    "How many words differ"
    return round(float(word_error_rate(' '.join(b), ' '.join(a))) * len(a))

def main(voice='kokoro', turns='3'):
    for soon in (False, True): spoken(SENTENCES[-1], voice, soon)      # what is loaded at the first use
    rows, wrong = [], 0
    for text in SENTENCES:
        runs = [[spoken(text, voice, soon) for _ in range(int(turns))] for soon in (False, True)]
        (whole, a), (pieces, b) = ((r[0][0], np.median([at for _, at in r], 0)) for r in runs)
        w, p = words(joined(whole)), words(joined(pieces))
        wrong += differing(w, p)
        rows.append((a[0], a[-1], b[0], b[-1]))
        print(f'{a[0]:.2f} {a[-1]:.2f} s at once, {b[0]:.2f} {b[-1]:.2f} s in {len(pieces)}, {latest(pieces, b):+.2f} s late, '
              f'of {joined(whole).audio.duration:.2f} s; {differing(w, p)} of {len(w)} words: {text[:44]}')
        if w != p: print('   ', ' '.join(w), '|', ' '.join(p))
    print('median first, all; in pieces first, all:', *(f'{x:.2f}' for x in np.median(rows, 0)), f'; {wrong} words differ')

if __name__ == '__main__': main(*sys.argv[1:3])
