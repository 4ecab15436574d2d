/* Agents at an embedded relay. */

#ifndef AGENTS_H
#define AGENTS_H

#include "check.h"

/* Opens the profile of this name in a folder. */
static inline ctalk_client *open_profile(const char *folder, const char *name) {
    char options[256];
    snprintf(options, sizeof options, "{\"folder\": \"%s/%s\"}", folder, name);
    ctalk_client *client = NULL;
    OK(ctalk_client_open(options, strlen(options), &client, &error));
    return client;
}

/* Makes an agent of this name, whose profile is in a folder. */
static inline ctalk_client *register_agent(const ctalk_relay *relay, const char *folder,
                                           const char *name) {
    char home[256], options[256];
    snprintf(home, sizeof home, "%s/%s", folder, name);
    ctalk_identity *identity = NULL;
    OK(ctalk_identity_generate(&identity, &error));
    OK(ctalk_identity_save(identity, home, strlen(home), name, strlen(name), TEXT("plain"), NO_TEXT,
                           &error));
    ctalk_identity_free(identity);
    ctalk_client *client = open_profile(folder, name);
    ctalk_slice url = ctalk_relay_url(relay), key = ctalk_relay_admin_key(relay);
    snprintf(options, sizeof options, "{\"relay\": \"%.*s\", \"adminKey\": \"%.*s\"}", (int)url.len,
             (const char *)url.data, (int)key.len, (const char *)key.data);
    OK(ctalk_client_register(client, options, strlen(options), NULL, NULL, &error));
    return client;
}

/* Sends a text. */
static inline void say(const ctalk_client *client, const char *to, const char *text) {
    char options[128];
    snprintf(options, sizeof options, "{\"to\": \"%s\"}", to);
    OK(ctalk_client_send(client, (const uint8_t *)text, strlen(text), options, strlen(options), NULL,
                         NULL, &error));
}

/* Removes a folder that a test made. */
static inline void remove_folder(const char *folder) {
    char command[256];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK(system(command) == 0);
}

#endif
