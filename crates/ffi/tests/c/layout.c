/* Prints how the types are laid out that programs and the library share. */

#include "check.h"

#define SIZE(type) printf("size %s %zu\n", #type, sizeof(type))
#define FIELD(type, field) printf("field %s.%s %zu\n", #type, #field, offsetof(type, field))

int main(void) {
    SIZE(ctalk_code);
    SIZE(ctalk_slice);
    FIELD(ctalk_slice, data);
    FIELD(ctalk_slice, len);
    return 0;
}
