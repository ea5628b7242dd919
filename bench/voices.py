"How well each voice is understood: what it says is written down by Whisper base, and words that differ are counted. Real-time factors in CPU time."
import re, sys, time
import numpy as np
from lipsync_kit.core import KitError
from lipsync_kit.speech.stt import transcribe
from lipsync_kit.speech.tts import VOICES, speak

TEXTS = dict(
    en='The old boat lay on the shore for many years. Children played in its shadow every summer. In winter the wind filled it with snow. Nobody knew who had built it. One day a stranger came and painted it blue. She sailed away before anyone could thank her.',
    de='Das alte Boot lag viele Jahre am Strand. Im Sommer spielten die Kinder in seinem Schatten. Im Winter füllte der Wind es mit Schnee. Niemand wusste, wer es gebaut hatte. Eines Tages kam eine Fremde und malte es blau an.',
    es='La barca vieja estuvo muchos años en la playa. En verano los niños jugaban a su sombra. En invierno el viento la llenaba de nieve. Nadie sabía quién la había construido. Un día llegó una mujer y la pintó de azul.',
    fr="Le vieux bateau est resté longtemps sur la plage. En été les enfants jouaient dans son ombre. En hiver le vent le remplissait de neige. Personne ne savait qui l'avait construit. Un jour une femme est venue et l'a peint en bleu.",
    it='La vecchia barca rimase per molti anni sulla spiaggia. In estate i bambini giocavano alla sua ombra. In inverno il vento la riempiva di neve. Nessuno sapeva chi la avesse costruita. Un giorno arrivò una donna e la dipinse di blu.',
    pt='O velho barco ficou muitos anos na praia. No verão as crianças brincavam na sua sombra. No inverno o vento enchia o barco de neve. Ninguém sabia quem o tinha construído. Um dia chegou uma mulher e pintou o barco de azul.')

def words(text): return re.findall(r"[^\W_]+", text.lower().replace("'", ' '))

def errors(said, heard):
    "Words inserted, left out or replaced, by the number of words"
    a, b = words(said), words(heard)
    row = np.arange(len(b) + 1)
    for i, w in enumerate(a, 1):
        last, row = row, np.empty_like(row)
        row[0] = i
        for j, v in enumerate(b, 1): row[j] = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (w != v))
    return row[-1] / len(a)

def main(names):
    for name in names or [c.name for c in VOICES.all().values() if c.offline and not c.missing]:
        c = VOICES.get(name.partition(':')[0])
        for lang in TEXTS:
            if lang not in c.languages or (c.name in ('piper', 'hibari') and lang != 'en'): continue
            try:
                t = time.process_time()
                s = speak(TEXTS[lang], name, language=lang)
                took = (time.process_time() - t) / s.audio.duration
            except KitError as e: print(f'{name} {lang}: {e}'); continue
            heard = transcribe(s.audio, 'whisper-base', lang).text
            print(f'{name:18} {lang}: {errors(TEXTS[lang], heard):6.1%} of {len(words(TEXTS[lang]))} words wrong; {took:.2f} s of processor a second', flush=True)

if __name__ == '__main__': main(sys.argv[1:])
