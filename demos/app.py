"The app: an image or a video, plus speech or text, becomes a talking head. `python demos/app.py` and open the address it prints."
import argparse, os, shlex, shutil, tempfile, threading, time
from html import escape
from importlib.resources import files
from pathlib import Path
from uuid import uuid4

os.environ.setdefault('GRADIO_ANALYTICS_ENABLED', 'False')
import gradio as gr
from lipsync_kit import KitError, lipsync
from lipsync_kit.core import Progress, log
from lipsync_kit.media.probe import probe
from lipsync_kit.models.contract import is_available, model_card, model_cards
from lipsync_kit.motion.audio2motion import CHOICES
from lipsync_kit.params import default_text
from lipsync_kit.pipe.options import all_settings, options_for
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
KEEP = 3600                               # seconds that a finished video stays on disk after it was handed to the browser
LONGEST, LONGEST_TEXT = 600., 5000        # seconds of speech or video, and characters, that one job may have
OWNERS = 'weights', 'device', 'policy', 'mark'   # options that whoever runs the app decides, not its visitors
outputs = tempfile.TemporaryDirectory(prefix='lipsync_app_')   # gone when the app ends
stops:dict[str, dict[str, threading.Event]] = {}   # session -> job -> its cancel button was pressed

# where results go

def remove_old():
    "Results that were handed over long ago, and what is left of jobs that failed"
    for old in Path(outputs.name).iterdir():
        if time.time() - old.stat().st_mtime <= KEEP: continue
        if old.is_dir(): shutil.rmtree(old, ignore_errors=True)
        else: old.unlink(missing_ok=True)

def new_output()->Path:
    "Where the next video goes: a folder of its own"
    remove_old()
    folder = Path(outputs.name)/uuid4().hex
    folder.mkdir()
    return folder/'talk.mp4'

# models

def greyed()->str:
    "Style of the models that can't be used here"
    absent = [n for n in model_cards() if not is_available(n)]
    return ', '.join(f'#model label:has(input[value="{n}"])' for n in absent) + ' {opacity: .45; pointer-events: none}'

def missing()->str:
    "Why they are grey"
    lacking = {n: is_available(n) for n in model_cards() if not is_available(n)}
    rows = [f'<li><b>{escape(n)}</b> {escape(model_card(n).about)}: <code>{escape("; ".join(r.missing))}</code></li>'
            for n, r in lacking.items()]
    if not rows: return ''
    return f'<div class="grey">What they need is not on this machine. Fetch it and start the app again:<ul>{"".join(rows)}</ul></div>'

# options, from their declarations

SETTINGS = {k: s for k, s in all_settings().items() if k not in OWNERS}

def label(s)->str: return s.name.replace('_', ' ').capitalize()

def control(s, shown:bool):
    "The control of one option"
    p, same = s.param, dict(label=label(s), info=s.param.help, visible=shown, elem_id=f'opt-{s.name}')
    choices = CHOICES if s.name == 'motion_model' else s.choices
    if choices: return gr.Dropdown(list(choices), value=s.default, **same)
    if s.kind is bool: return gr.Checkbox(s.default, **same)
    if s.kind in (int, float):
        step = 1 if s.kind is int else .05
        if None not in (p.low, p.high) and (p.high - p.low) / step <= 1000: return gr.Slider(p.low, p.high, s.default, step=step, **same)
        return gr.Number(s.default, precision=0 if s.kind is int else None, **same)
    text = '' if s.default in (None, ()) else str(s.default)
    return gr.Textbox(text, placeholder=default_text(s) if s.default is None else '', max_lines=1, **same)

def controls(advanced:bool)->dict:
    "Controls of the basic or the advanced options, in rows of three"
    shown, res = options_for('portrait'), {}
    chosen = [s for s in SETTINGS.values() if s.param.advanced == advanced]
    for i in range(0, len(chosen), 3):
        with gr.Row(elem_classes='own'): res |= {s.name: control(s, s.name in shown) for s in chosen[i:i+3]}
    return res

def shown_for(model:str)->list:
    "The options that a model takes are shown, others hidden"
    takes = options_for(model)
    return [gr.update(visible=k in takes) for k in SETTINGS]

def given_options(model:str, values)->dict:
    "The options that differ from their defaults, of those that the model takes"
    takes, res = options_for(model), {}
    for (k, s), v in zip(SETTINGS.items(), values):
        if k not in takes or v in (None, '', s.default): continue
        res[k] = int(v) if s.kind is int else v
    return ({'model': model} if model != 'portrait' else {}) | res

# the same elsewhere

def chosen_face(kind:str, image, video): return video if kind == 'Video' else image

def chosen_speech(kind:str, text, audio)->dict:
    "The speech as arguments of `lipsync`"
    return dict(text=text or '') if kind == 'Text' else dict(audio=audio)

def as_python(face, speech:dict, options:dict)->str:
    "The same call in Python"
    said = {k: Path(v).name if k == 'audio' else v for k, v in speech.items() if v}
    args = [repr(Path(face).name if face else 'face.jpg'), *(f'{k}={v!r}' for k, v in {**said, **options}.items())]
    return f"from lipsync_kit import lipsync\n\nr = lipsync({', '.join(args)})\nr.save('talk.mp4')"

def flag(name:str, value)->list[str]:
    "An option as a flag of the command line"
    flags = SETTINGS[name].param.flags if name in SETTINGS else ()
    word = flags[0] if flags else f"--{'no-' if value is False else ''}{name.replace('_', '-')}"
    return [word] if isinstance(value, bool) else [word, str(value)]

def as_command(face, speech:dict, options:dict)->str:
    "The same call on a command line"
    def file(path): return f'./{Path(path).name}' if Path(path).name.startswith('-') else Path(path).name
    words = ['lipsync', 'talk', file(face) if face else 'face.jpg']
    words += [file(speech['audio'])] if speech.get('audio') else ['--text', speech['text']] if speech.get('text') else []
    for k, v in options.items(): words += flag(k, v)
    return shlex.join([*words, '-o', 'talk.mp4'])

def recipes(face_kind, image, video, speech_kind, text, audio, model, *values):
    "Both boxes"
    face, speech, options = chosen_face(face_kind, image, video), chosen_speech(speech_kind, text, audio), given_options(model, values)
    return as_python(face, speech, options), as_command(face, speech, options)

# a job

class Stopped(Exception): "The cancel button was pressed"

def check_size(face, speech:dict):
    "Refuse what would keep the machine busy for too long"
    if len(speech.get('text') or '') > LONGEST_TEXT:
        raise KitError(f"the text has {len(speech['text'])} characters; at most {LONGEST_TEXT} are spoken here at once")
    for path in filter(None, (face, speech.get('audio'))):
        clip = probe(path)
        seconds = max([clip.duration, *(a.duration for a in clip.audio)], default=0)
        if seconds > LONGEST: raise KitError(f"{Path(path).name} lasts {seconds:.0f} s; at most {LONGEST:.0f} s are drawn here at once")

def begin(request:gr.Request)->str:
    "A job is asked for; it can be cancelled from now on, also while it waits for its turn"
    job = uuid4().hex
    stops.setdefault(request.session_hash, {})[job] = threading.Event()
    return job

def cancel(request:gr.Request):
    "Ask the jobs of this session to stop"
    for stop in stops.get(request.session_hash, {}).values(): stop.set()

def make(session:str, job:str, progress, face_kind, image, video, speech_kind, text, audio, model, *values):
    "The video and what is said about it"
    jobs = stops.setdefault(session, {})
    stop, out = jobs.setdefault(job, threading.Event()), new_output()
    def step(p:Progress):
        if stop.is_set(): raise Stopped
        progress(p.share, desc=p.stage)
        if p.note: gr.Info(p.note)
    face, speech = chosen_face(face_kind, image, video), chosen_speech(speech_kind, text, audio)
    try:
        step(Progress('waiting', 0.))
        if not face: raise KitError('choose a picture or a video with a face first')
        if not any(speech.values()) and face_kind == 'Image': raise KitError('write what shall be said, or give a recording')
        check_size(face, speech)
        given = {k: v for k, v in speech.items() if v}
        r = lipsync(face, **given, out=out, progress=step, **given_options(model, values))
        return str(r.path), '<div class="good">' + '<br>'.join(map(escape, facts(r))) + '</div>'
    except Stopped: said = 'Stopped.'
    except KitError as e: said = escape(str(e))
    except Exception as e:
        log.exception('the app failed')
        said = f'This is our fault: {escape(type(e).__name__)}. The terminal that runs the app has the details.'
    finally:
        jobs.pop(job, None)
        if not out.exists(): shutil.rmtree(out.parent, ignore_errors=True)   # what a stopped job had begun: nobody can go on with it
    return None, f'<div class="bad">{said}</div>'

# the page

def inputs()->tuple:
    "Left column: the face and the speech"
    with gr.Tabs():
        with gr.Tab('Image', id='Image') as t1:
            image = gr.Image(type='filepath', label='A picture with a face', sources=['upload', 'webcam', 'clipboard'], height=280)
        with gr.Tab('Video', id='Video') as t2: video = gr.Video(label='A video with a face', sources=['upload', 'webcam'], height=280)
    face_kind = gr.State('Image')
    t1.select(lambda: 'Image', None, face_kind)
    t2.select(lambda: 'Video', None, face_kind)
    with gr.Tabs():
        with gr.Tab('Text', id='Text') as s1:
            text = gr.Textbox(label='What to say (English voice)', lines=3, placeholder=SENTENCE, elem_id='text', max_length=LONGEST_TEXT)
        with gr.Tab('Recording', id='Audio') as s2: audio = gr.Audio(type='filepath', sources=['upload', 'microphone'], label='Speech')
    speech_kind = gr.State('Text')
    s1.select(lambda: 'Text', None, speech_kind)
    s2.select(lambda: 'Audio', None, speech_kind)
    return face_kind, image, video, speech_kind, text, audio

def settings()->list:
    "The model and its options, in the order of `SETTINGS`"
    model = gr.Radio(list(model_cards()), value='portrait', label='Model', info=model_card('portrait').about, elem_id='model')
    if why := missing():
        with gr.Accordion('Grey models and what they need', open=False): gr.HTML(why)
    with gr.Accordion('Options', open=False): made = controls(advanced=False)
    with gr.Accordion('For experts', open=False): made |= controls(advanced=True)
    options = [made[k] for k in SETTINGS]
    def update(name): return [gr.Radio(info=model_card(name).about), *shown_for(name)]
    model.change(update, model, [model, *options], queue=False, show_progress='hidden')
    return [model, *options]

def build()->gr.Blocks:
    "The whole page"
    with gr.Blocks(title='lipsync_kit', analytics_enabled=False, delete_cache=(600, KEEP)) as page:
        gr.Markdown('# Make a face speak\nA picture or a video, plus text or a recording. It runs on this machine; '
                    'the first model needs no GPU and no download.')
        with gr.Row():
            with gr.Column(scale=5):
                given, wanted = inputs(), settings()
                with gr.Row():
                    go = gr.Button('Make it talk', variant='primary', elem_id='go', scale=3)
                    stop = gr.Button('Cancel', elem_id='stop', scale=1)
            with gr.Column(scale=5):
                result, said = gr.Video(label='Result', elem_id='result', autoplay=True, height=420), gr.HTML(elem_id='said')
                with gr.Accordion('The same elsewhere', open=False):
                    python, command = gr.Code(language='python', label='Python'), gr.Code(language='shell', label='Command line')
        examples = [[PHOTO, SENTENCE], [PHOTO, 'Every sound closes or opens the lips: papa, mama, five fine views.']]
        gr.Examples(examples, [given[1], given[4]], label='Examples')
        gr.Markdown(NOTE)
        job, everything = gr.State(''), [*given, *wanted]
        def run(data, request:gr.Request, progress=gr.Progress()):
            return make(request.session_hash, data[job], progress, *(data[c] for c in everything))
        go.click(begin, None, job, queue=False).then(run, {job, *everything}, [result, said], concurrency_limit=1, concurrency_id='draw')
        stop.click(cancel, queue=False)
        shown = dict(queue=False, show_progress='hidden')
        for c in everything: c.change(recipes, everything, [python, command], **shown)
        page.load(recipes, everything, [python, command], **shown)
    return page

def main():
    "Serve the page"
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--host', default='127.0.0.1')
    p.add_argument('--port', type=int, default=7860)
    p.add_argument('--share', action='store_true', help='open a public address through Gradio')
    a = p.parse_args()
    theme = gr.themes.Soft(primary_hue='indigo', font=FONTS, font_mono=['ui-monospace', 'Menlo', 'Consolas', 'monospace'])
    build().queue(max_size=16).launch(server_name=a.host, server_port=a.port, share=a.share, max_file_size='500mb', theme=theme,
                                      css=CSS + greyed(), footer_links=[])

if __name__ == '__main__': main()
