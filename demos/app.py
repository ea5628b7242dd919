"The app: an image or a video, plus speech or text, becomes a talking head. `python demos/app.py` and open the address it prints."
import argparse, os, shlex, tempfile, threading, time
from html import escape
from importlib.resources import files
from pathlib import Path
from uuid import uuid4

os.environ.setdefault('GRADIO_ANALYTICS_ENABLED', 'False')
import gradio as gr
from lipsync_kit import KitError, lipsync
from lipsync_kit.models.contract import CARDS, is_available
from lipsync_kit.core import log
from lipsync_kit.media.length import FITS
from lipsync_kit.motion.idle import EMOTIONS
from lipsync_kit.pipe.options import MEMORIES, Options
from lipsync_kit.pipe.result import facts

PHOTO = str(files('lipsync_kit')/'data'/'astronaut.jpg')
SENTENCE = 'Hello! I am a photograph, and I can talk.'
FONTS = ['system-ui', 'Segoe UI', 'Roboto', 'Helvetica', 'Arial', 'sans-serif']
NOTE = 'Videos made here are marked as AI-generated. Use only faces and voices of people who agreed to it.'
CSS = '''
.gradio-container {max-width: 1120px !important; margin: auto}
#go {min-height: 48px}
#said {border-radius: 8px}
.bad {border-left: 4px solid #d33; padding: .6em 1em; background: color-mix(in srgb, #d33 9%, transparent); border-radius: 4px}
.good {opacity: .85; font-size: .95em}
.table-wrap table {table-layout: fixed; width: 100%}
.table-wrap th {white-space: normal !important}
.own:not(:has(.block)) {display: none}
.grey {opacity: .75; font-size: .9em} .grey code {user-select: all; white-space: normal}
'''
KEEP = 3600   # seconds that a finished video stays on disk after it was handed to the browser
stops:dict[str, threading.Event] = {}   # session -> its cancel button was pressed
outputs = tempfile.TemporaryDirectory(prefix='lipsync_app_')   # gone when the app ends

def new_output()->Path:
    "Where the next video goes; old ones are removed"
    for old in Path(outputs.name).iterdir():
        if time.time() - old.stat().st_mtime > KEEP: old.unlink(missing_ok=True)
    return Path(outputs.name)/f'{uuid4().hex}.mp4'

def greyed()->str:
    "Style of the models that can't be used here"
    return ', '.join(f'#model label:has(input[value="{n}"])' for n in CARDS if not is_available(n)) + ' {opacity: .45; pointer-events: none}'

def missing()->str:
    "Why they are grey"
    rows = [f'<li><b>{escape(n)}</b> {escape(c.about)}: <code>{escape("; ".join(r.missing))}</code></li>' for n, c in CARDS.items() if not (r := is_available(n))]
    return f'<div class="grey">What they need is not on this machine. Fetch it and start the app again:<ul>{"".join(rows)}</ul></div>' if rows else ''

def chosen_face(kind:str, image, video): return video if kind == 'Video' else image

def chosen_speech(kind:str, text, audio)->dict:
    "The speech as arguments of `lipsync`"
    return dict(text=text or '') if kind == 'Text' else dict(audio=audio)

SOME = dict(preset='best', blend='auto', cheeks='90,90', bbox_shift=0, steps=20, guidance=1.5, reuse=1, memory='auto')   # settings that only some models take, left alone

def cheeks_of(text):
    "Two numbers, from words"
    try: return tuple(int(x) for x in text.split(','))
    except ValueError: return text    # which the model refuses, and says why

def wishes(model, fit, emotion, strength, fps, size, idle, seed, *some)->dict:
    "The settings that differ from the defaults"
    want = dict(model=model, fit=fit, emotion=emotion, strength=strength, fps=None if fps in (None, 25) else fps, size=int(size) if size else None, idle=bool(idle), seed=int(seed or 0))
    own = {k: v for (k, usual), v in zip(SOME.items(), some) if k in CARDS[model].options and v not in (usual, None, '')}
    if 'cheeks' in own: own['cheeks'] = cheeks_of(own['cheeks'])
    own |= {k: int(own[k]) for k in ('bbox_shift', 'steps', 'reuse') if k in own}
    return {k: v for k, v in want.items() if v != getattr(Options, k, None)} | own

def shown_for(model:str)->list:
    "The settings that a model takes are shown, others hidden"
    return [gr.update(visible=k in CARDS[model].options) for k in SOME]

def as_python(face, speech:dict, options:dict)->str:
    "The same call in Python"
    said = {k: Path(v).name if k == 'audio' else v for k, v in speech.items() if v}
    args = [repr(Path(face).name if face else 'face.jpg'), *(f'{k}={v!r}' for k, v in {**said, **options}.items())]
    return f"from lipsync_kit import lipsync\n\nr = lipsync({', '.join(args)})\nr.save('talk.mp4')"

def as_command(face, speech:dict, options:dict)->str:
    "The same call on a command line"
    file = lambda path: f'./{Path(path).name}' if Path(path).name.startswith('-') else Path(path).name
    words = ['lipsync', 'talk', file(face) if face else 'face.jpg']
    words += [file(speech['audio'])] if speech.get('audio') else ['--text', speech['text']] if speech.get('text') else []
    for k, v in options.items():
        words += [f"--{'no-' if v is False else ''}{k.replace('_', '-')}"] + ([] if isinstance(v, bool) else [','.join(map(str, v)) if isinstance(v, tuple) else str(v)])
    return shlex.join([*words, '-o', 'talk.mp4'])

def recipes(face_kind, image, video, speech_kind, text, audio, *settings):
    "Both boxes"
    face, speech, options = chosen_face(face_kind, image, video), chosen_speech(speech_kind, text, audio), wishes(*settings)
    return as_python(face, speech, options), as_command(face, speech, options)

class Stopped(Exception): "The cancel button was pressed"

def make(face_kind, image, video, speech_kind, text, audio, model, fit, emotion, strength, fps, size, idle, seed, preset, blend, cheeks, bbox_shift, steps, guidance, reuse, memory, request:gr.Request, progress=gr.Progress()):
    "The video and what is said about it"
    stop, settings = stops.setdefault(request.session_hash, threading.Event()), (model, fit, emotion, strength, fps, size, idle, seed, preset, blend, cheeks, bbox_shift, steps, guidance, reuse, memory)
    def step(done, what):
        if stop.is_set(): raise Stopped
        progress(done, desc=what)
    face, speech = chosen_face(face_kind, image, video), chosen_speech(speech_kind, text, audio)
    try:
        step(0., 'waiting')
        if not face: raise KitError('choose a picture or a video with a face first')
        if not any(speech.values()) and face_kind == 'Image': raise KitError('write what shall be said, or give a recording')
        r = lipsync(face, **{k: v for k, v in speech.items() if v}, out=new_output(), progress=step, **wishes(*settings))
    except Stopped: return None, '<div class="bad">Stopped. Nothing was written.</div>'
    except KitError as e: return None, f'<div class="bad">{escape(str(e))}</div>'
    except Exception as e:
        log.exception('the app failed')
        return None, f'<div class="bad">This is our fault: {escape(type(e).__name__)}. The terminal that runs the app has the details.</div>'
    finally: stops.pop(request.session_hash, None)
    return str(r.path), '<div class="good">' + '<br>'.join(map(escape, facts(r))) + '</div>'

def begin(request:gr.Request):
    "A job is asked for; it can be cancelled from now on, also while it waits for its turn"
    stops[request.session_hash] = threading.Event()

def cancel(request:gr.Request):
    "Ask the running job of this session to stop"
    if request.session_hash in stops: stops[request.session_hash].set()

def inputs()->tuple:
    "Left column: the face, the speech, the settings"
    with gr.Tabs():
        with gr.Tab('Image', id='Image') as t1: image = gr.Image(type='filepath', label='A picture with a face', sources=['upload', 'webcam', 'clipboard'], height=280)
        with gr.Tab('Video', id='Video') as t2: video = gr.Video(label='A video with a face', sources=['upload', 'webcam'], height=280)
    face_kind = gr.State('Image')
    t1.select(lambda: 'Image', None, face_kind); t2.select(lambda: 'Video', None, face_kind)
    with gr.Tabs():
        with gr.Tab('Text', id='Text') as s1: text = gr.Textbox(label='What to say (English voice)', lines=3, placeholder=SENTENCE, elem_id='text')
        with gr.Tab('Recording', id='Audio') as s2: audio = gr.Audio(type='filepath', sources=['upload', 'microphone'], label='Speech')
    speech_kind = gr.State('Text')
    s1.select(lambda: 'Text', None, speech_kind); s2.select(lambda: 'Audio', None, speech_kind)
    return face_kind, image, video, speech_kind, text, audio

def settings()->list:
    "The wishes beside face and speech"
    model = gr.Radio(list(CARDS), value='portrait', label='Model', info=CARDS['portrait'].about, elem_id='model')
    if why := missing():
        with gr.Accordion('Grey models and what they need', open=False): gr.HTML(why)
    some = own_settings()
    emotion = gr.Dropdown(list(EMOTIONS), value='neutral', label='Emotion', info='of portrait; the lips stay on the sounds')
    with gr.Accordion('More', open=False):
        fit = gr.Dropdown(['auto', *FITS], value='auto', label='Sound and video differ in length', info='auto: forwards and backwards')
        with gr.Row():
            strength = gr.Slider(0, 1.5, 1, step=.1, label='Strength of the emotion')
            idle = gr.Checkbox(True, label='Blinks and small head motion')
        with gr.Row():
            fps = gr.Dropdown([24, 25, 30, 50, 60], value=25, label='Frames a second', info='of a picture; a video keeps its own')
            size = gr.Number(None, label='Longer side, pixels', info='empty: as it is', precision=0)
            seed = gr.Number(0, label='Seed', info='same seed, same video', precision=0)
    model.change(lambda m: [gr.Radio(info=CARDS[m].about), *shown_for(m)], model, [model, *some], queue=False, show_progress='hidden')
    return [model, fit, emotion, strength, fps, size, idle, seed, *some]

def own_settings()->list:
    "What only some models take, hidden until one of them is chosen; in the order of `SOME`"
    hidden = dict(visible=False)
    with gr.Row(elem_classes='own'):
        preset = gr.Dropdown(['best', 'original'], value='best', label='Preset', info='original: the official pipeline of the model', **hidden)
        memory = gr.Dropdown(list(MEMORIES), value='auto', label='Memory', info='low, lowest: for small GPUs, slower', **hidden)
    with gr.Row(elem_classes='own'):
        blend = gr.Dropdown(['auto', 'jaw', 'neck', 'raw'], value='auto', label='Blend', info="of preset 'original'", **hidden)
        cheeks = gr.Textbox('90,90', label='Cheeks', info='of jaw: left,right of the middle', max_lines=1, **hidden)
        shift = gr.Slider(-20, 20, 0, step=1, label='Shift of the face', info='pixels; more opens the mouth wider', **hidden)
    with gr.Row(elem_classes='own'):
        steps = gr.Slider(1, 50, 20, step=1, label='Steps', info='fewer are faster', **hidden)
        guidance = gr.Slider(1, 3, 1.5, step=.1, label='Guidance', info='how strongly the sound counts', **hidden)
        reuse = gr.Slider(1, 5, 1, step=1, label='Reuse', info='inner layers in every so many steps', **hidden)
    return [preset, blend, cheeks, shift, steps, guidance, reuse, memory]

def build()->gr.Blocks:
    "The whole page"
    with gr.Blocks(title='lipsync_kit', analytics_enabled=False, delete_cache=(600, KEEP)) as page:
        gr.Markdown('# Make a face speak\nA picture or a video, plus text or a recording. It runs on this machine; the first model needs no GPU and no download.')
        with gr.Row():
            with gr.Column(scale=5):
                given = inputs()
                wanted = settings()
                with gr.Row():
                    go, stop = gr.Button('Make it talk', variant='primary', elem_id='go', scale=3), gr.Button('Cancel', elem_id='stop', scale=1)
            with gr.Column(scale=5):
                result, said = gr.Video(label='Result', elem_id='result', autoplay=True, height=420), gr.HTML(elem_id='said')
                with gr.Accordion('The same elsewhere', open=False):
                    python, command = gr.Code(language='python', label='Python'), gr.Code(language='shell', label='Command line')
        gr.Examples([[PHOTO, SENTENCE], [PHOTO, 'Every sound closes or opens the lips: papa, mama, five fine views.']], [given[1], given[4]], label='Examples')
        gr.Markdown(NOTE)
        everything = [*given, *wanted]
        go.click(begin, queue=False).then(make, everything, [result, said], concurrency_limit=1, concurrency_id='draw')
        stop.click(cancel, queue=False)
        for c in everything: c.change(recipes, everything, [python, command], queue=False, show_progress='hidden')
        page.load(recipes, everything, [python, command], queue=False, show_progress='hidden')
    return page

def main():
    "Serve the page"
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--host', default='127.0.0.1'); p.add_argument('--port', type=int, default=7860)
    p.add_argument('--share', action='store_true', help='open a public address through Gradio')
    a = p.parse_args()
    theme = gr.themes.Soft(primary_hue='indigo', font=FONTS, font_mono=['ui-monospace', 'Menlo', 'Consolas', 'monospace'])
    build().queue(max_size=16).launch(server_name=a.host, server_port=a.port, share=a.share, max_file_size='500mb', theme=theme, css=CSS + greyed(), footer_links=[])

if __name__ == '__main__': main()
