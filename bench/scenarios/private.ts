import { request } from "undici";
import { createAnswering, startAnswers } from "../answers.ts";
import { checkDenied } from "../check-answers.ts";
import { contest } from "../contest.ts";
import { type Contender, gatewayContender } from "../proxies/contender.ts";
import { type Measurement, type Scenario, WrongAnswerError } from "../scenario.ts";
import { formatSpread, median, medianRatio } from "../statistics.ts";
import { mintToken } from "../tokens.ts";

const navigation = {
  "sec-fetch-mode": "navigate",
  "sec-fetch-dest": "document",
  "sec-fetch-user": "?1",
  accept: "text/html",
};

/** What it costs the gateway to know who asks. */
export const privatePreview: Scenario = {
  name: "private",
  parts: ["wrk", "nginx"],
  async run(options) {
    await using answers = await startAnswers(options);
    const { stack } = answers;
    const { sandbox } = await createAnswering(stack, "private");
    const hidden = gatewayContender(stack, sandbox);
    const token = mintToken(sandbox.id);
    const open = { ...gatewayContender(stack, answers.sandbox), name: "public" };
    const byToken = { ...hidden, name: "token", headers: { "x-preview-token": token } };
    const bySession = { ...hidden, name: "session cookie", headers: { cookie: await openSession(hidden, token) } };
    await checkDenied(byToken, { "x-preview-token": mintToken(answers.sandbox.id) });
    await checkDenied(bySession, { cookie: `${bySession.headers.cookie}x` });
    const contenders: Contender[] = [open, byToken, bySession];
    const scores = await contest(contenders, { path: "/1k", bodyBytes: 1024 }, options);
    const costs = ({ name }: Contender) => scores.get(name)!.cpuPerRequest;
    return [
      ...contenders.map(
        (each): Measurement => ({
          name: `private: CPU per request, ${each.name}`,
          value: median(costs(each)),
          unit: "µs",
        }),
      ),
      ...[byToken, bySession].map((each) => ({
        name: `private: CPU per request, ${each.name} ÷ public`,
        value: medianRatio(costs(each), costs(open)),
        unit: "×",
        remark: formatSpread(costs(each), costs(open)),
      })),
    ];
  },
};

/** Follows a link with a token in it as a browser does, and returns what it sends as `Cookie` from then on. */
async function openSession({ port, host }: Contender, token: string): Promise<string> {
  const url = `http://127.0.0.1:${port}/1k?preview_token=${token}`;
  const { statusCode, headers, body } = await request(url, { headers: { ...navigation, host } });
  await body.dump();
  const cookie = [headers["set-cookie"] ?? ""].flat()[0]!.split(";", 1)[0]!;
  if (statusCode !== 303 || cookie === "") throw new WrongAnswerError(`a token opened no session: ${statusCode}`);
  return cookie;
}
