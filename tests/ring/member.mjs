// The ring's member in Node: member.mjs NAME NEXT. Adds its name to each text and sends it on.

import { Client, profileFolder } from 'ctalk';

const [name, next] = process.argv.slice(2);
const client = await Client.open({ folder: profileFolder(name), require: ['verified', 'native'] });

for await (const message of client.follow()) {
  if (message.text().split(' ').at(-1) !== message.from) {
    await message.reject('another name');
    continue;
  }
  const text = `${message.text()} ${name}`;
  // The id keeps a message from going on twice, should this program end before it commits.
  await client.send(next, text, { type: 'notification', idempotencyKey: message.id });
  await message.commit();
  process.stdout.write(`${text}\n`);
}
