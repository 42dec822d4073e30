import os, signal, time, json, threading, re
import httpx, pytest
from llmasos.testing.slack import SlackStandIn
from llmasos.testing.slack.faults import Fault

AGENTS = """
import time
from llmasos import Agent, Reply, agent

@agent("echo", "Says it again.")
def echo(turn):
    yield Reply(text=f"echo: {turn.text}")

@agent("slow", "Counts for three seconds.")
def slow(turn):
    for number in range(30):
        yield f"{number} "
        time.sleep(0.1)

plain = Agent(name="plain", description="Talks.", instructions="Write a long story.")
"""
COUNTED = " ".join(map(str, range(30)))

@pytest.fixture(scope="module")
def s():
    with SlackStandIn() as x:
        yield x

@pytest.fixture(scope="module")
def up(make_up, s):
    made = make_up(agents=AGENTS, with_slack=False)
    p = made.folder/"llmasos.toml"
    t = p.read_text().replace("lease_seconds = 2", "lease_seconds = 2\nprocesses = 2")
    if os.environ.get("OWN_ENGINE"):
        t = re.sub(r'\[llm\]\nurls.*\napi_key.*\n\[embedding\]\nurl.*\napi_key.*\n', '', t)
        made.home.mkdir(exist_ok=True)
        (made.home/"models").symlink_to("/work/main/.llmasos/models")
    p.write_text(t + f'[slack]\nbot_token = "{s.bot_token}"\napp_token = "{s.app_token}"\napi_url = "{s.api_url}"\nupdate_interval = 0.1\n')
    made.start(); made.ready()
    s.wait(lambda: s.connections, seconds=30)
    yield made
    print("STOP", made.stop())
    open("/tmp/faults/up.log","w").write(made.log.read_text())

def said(s, place, ts, seconds=60):
    t=time.monotonic()
    try:
        s.wait(lambda: s.answers(place, ts), seconds=seconds)
    except TimeoutError:
        print("TIMEOUT", [ (m.shown, m.payload) for m in s.answers(place, ts, final=False)])
        raise
    time.sleep(1)
    out=[m.shown for m in s.answers(place, ts, final=False)]
    print("after", round(time.monotonic()-t,1), out)
    return out

def place_of(s, where):
    return ("C7", lambda t: s.say("C7", t)) if where=="channel" else (s.im(), lambda t: s.dm(t))

@pytest.mark.parametrize("where", ["channel","dm"])
def test_killed_between(up, s, where):
    place, say = place_of(s, where)
    s.fail("chat.update" if where=="channel" else "chat.stopStream", Fault.hangs(4, done=True))
    n=len(s.called("chat.update")+s.called("chat.stopStream"))
    ts = say("echo: hi" if where=="channel" else "slow: x")
    s.wait(lambda: len(s.called("chat.update")+s.called("chat.stopStream"))>n, 20)
    for w in ("worker-1","worker-2"): os.kill(up.running.pids[w], signal.SIGKILL)
    out=said(s, place, ts); assert len(out)==1

@pytest.mark.parametrize("where", ["channel","dm"])
@pytest.mark.parametrize("fault", ["500","hang","reset"])
def test_create_faults(up, s, where, fault):
    place, say = place_of(s, where)
    f={"500":Fault.breaks(done=True),"hang":Fault.hangs(17,done=True),"reset":Fault.resets(done=True)}[fault]
    s.fail("chat.postMessage" if where=="channel" else "chat.startStream", f)
    ts=say("slow: x")
    out=said(s, place, ts); assert len(out)==1 and out[0].strip()==COUNTED

@pytest.mark.parametrize("where", ["channel","dm"])
def test_sigstop_worker(up, s, where):
    place, say = place_of(s, where)
    n=up.log.read_text().count("job.started")
    ts=say("slow: x")
    s.wait(lambda: " 3 4" in "".join(m.shown for m in s.messages(place, ts)), seconds=30)
    line=[l for l in up.log.read_text().splitlines() if "job.started" in l][-1]
    w=line.split()[0]; pid=up.running.pids[w]
    os.kill(pid, signal.SIGSTOP)
    try:
        out=said(s, place, ts)
    finally:
        os.kill(pid, signal.SIGCONT)
    time.sleep(3)
    out=said(s, place, ts)
    assert len(out)==1 and out[0].strip()==COUNTED

def test_broker_hung(up, s):
    pid=up.running.pids["broker"]
    os.kill(pid, signal.SIGSTOP)
    try:
        t=time.monotonic()
        job=up.http("POST","/v1/agents/echo/runs",json={"text":"x"})
        t1=time.monotonic()-t
        ts=s.say("C8","echo: hung")
        s.wait(lambda: all(d.acknowledged for d in s.deliveries if d.event.get("ts")==ts))
        t2=time.monotonic()-t-t1
        time.sleep(5)
        print("accepted", t1, t2, job.json()["status"])
        print("while hung", up.http("GET","/v1/jobs/"+job.json()["id"]).json()["status"])
    finally:
        os.kill(pid, signal.SIGCONT)
    t=time.monotonic()
    out=said(s,"C8",ts)
    up.until(lambda: up.http("GET","/v1/jobs/"+job.json()["id"]).json()["finished_at"])
    print("done after", time.monotonic()-t)
    t=time.monotonic(); up.ask("echo","y"); print("next", time.monotonic()-t)

def test_web_killed(up, s):
    got=[]; last=""
    job=up.http("POST","/v1/agents/slow/runs",json={"text":"x"}).json()["id"]
    url=up.running.web_url
    def read(limit):
        nonlocal last
        headers={"last-event-id":last} if last else {}
        with httpx.stream("GET", f"{url}/v1/jobs/{job}/events", headers=headers, timeout=30) as r:
            kind=None
            for line in r.iter_lines():
                if line.startswith("id:"): last=line[4:]
                if line.startswith("event:"): kind=line[7:]
                if line.startswith("data:"): got.append((kind, json.loads(line[6:])))
                if len(got)>limit: 
                    os.kill(up.running.pids["web"], signal.SIGKILL); limit=10**9
    try: read(6)
    except httpx.HTTPError as e: print(type(e))
    t=time.monotonic()
    while True:
        try: read(10**9); break
        except httpx.HTTPError as e:
            assert time.monotonic()-t<30; time.sleep(.2)
    print("back", time.monotonic()-t, [g[0] for g in got])
    print("".join(g[1]["text"] for g in got if g[0]=="token"))

def test_sigterm_worker(up, s):
    ts=s.say("C9","slow: x")
    s.wait(lambda: " 3 4" in "".join(m.shown for m in s.messages("C9", ts)), seconds=30)
    line=[l for l in up.log.read_text().splitlines() if "job.started" in l][-1]
    os.kill(up.running.pids[line.split()[0]], signal.SIGTERM)
    out=said(s,"C9",ts); assert out==[COUNTED+" "] or out==[COUNTED]

def test_rate(up,s):
    s.fail("chat.update", *[Fault.limits(1)]*3)
    ts=s.say("C10","slow: x"); out=said(s,"C10",ts); assert len(out)==1

def test_slack_down(up, s):
    ts=s.say("C11","slow: x"); ts2=s.dm("slow: y")
    s.wait(lambda: " 3 4" in "".join(m.shown for m in s.messages("C11", ts)), seconds=30)
    port=int(s.api_url.split(":")[2].split("/")[0])
    s.stop()
    time.sleep(20)
    new=SlackStandIn(port); new.workspace=s.workspace; new.start()
    try:
        t=time.monotonic()
        print(said(new,"C11",ts,120)); print(said(new,new.im(),ts2,120))
        new.wait(lambda: new.connections, seconds=60)
        print("reconnected", time.monotonic()-t)
        ts3=new.say("C11","echo: back"); said(new,"C11",ts3)
    finally:
        new.stop()
        s.stop=lambda: None
